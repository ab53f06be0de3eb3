import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { query } from "../database/query.ts";
import { until } from "../until.ts";
import { placeInNetwork } from "./container-address.ts";
import { startPostgres, type TestPostgres } from "./postgres.ts";
import { giveCertificate } from "./tls.ts";

/** A PostgreSQL with the rights that Amazon gives, as far as a server of one's own can have them. */
export interface ManagedPostgres {
  /** As the role `budgie_user` reaches it, which is no superuser. */
  asOwner: TestPostgres;
  /** As whoever runs it. */
  asSuperuser: TestPostgres;
  /** Where containers reach it. */
  address: string;
  /** The certificates that its own comes from, a file on this machine. */
  certificate: string;
  stop(): Promise<void>;
}

const PASSWORD = "not-a-superusers-password";

/**
 * Nobody comes in without TLS from another machine. `budgie_user` may make databases and roles, is a member of `rds_superuser`,
 * and owns the database that there is: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html
 */
export async function startManagedPostgres(database: string, hostName?: string): Promise<ManagedPostgres> {
  const asSuperuser = await startPostgres({ env: { POSTGRES_USER: "rdsadmin" } });
  const folder = await mkdtemp(join(tmpdir(), "budgie-managed-"));
  const stop = async () => {
    await asSuperuser.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const { address } = await placeInNetwork(asSuperuser.container);
    const certificate = await giveCertificate(asSuperuser, address, folder, hostName);
    await query(
      asSuperuser,
      "postgres",
      `CREATE ROLE rds_superuser NOLOGIN;
       GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION;
       CREATE ROLE budgie_user LOGIN CREATEDB CREATEROLE PASSWORD '${PASSWORD}';
       GRANT rds_superuser TO budgie_user`,
    );
    await query(asSuperuser, "postgres", `CREATE DATABASE ${database} OWNER budgie_user`);
    await requireTls(asSuperuser);
    const asOwner = {
      ...asSuperuser,
      user: "budgie_user",
      password: PASSWORD,
      url: (name = "postgres") =>
        `postgres://budgie_user:${PASSWORD}@${asSuperuser.host}:${asSuperuser.port}/${name}?sslmode=no-verify`,
    };
    return { asOwner, asSuperuser, address, certificate, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Of `rdsadmin` nothing is asked, so that a test can look from this machine. */
async function requireTls(postgres: TestPostgres): Promise<void> {
  const rules = [
    "local all rdsadmin trust",
    "host all rdsadmin all scram-sha-256",
    "hostssl all all all scram-sha-256",
  ];
  const { code, stderr } = await collectFromContainer(
    postgres.container,
    ["sh", "-c", 'cat > "$PGDATA/pg_hba.conf"'],
    Buffer.from(`${rules.join("\n")}\n`),
  );
  if (code !== 0) throw new Error(stderr);
  await query(postgres, "postgres", "SELECT pg_reload_conf()");
  await until(
    "a server that wants TLS",
    () => query(postgres, "postgres", "SELECT type FROM pg_hba_file_rules WHERE error IS NULL"),
    rows => rows.some(({ type }) => type === "hostssl"),
  );
}
