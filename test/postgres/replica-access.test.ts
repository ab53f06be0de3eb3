import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeAuthority, makeCertificate } from "../../components/replicas/certificate.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { allowReplicas, TLS_FILES, TLS_FOLDER, withdrawReplicas } from "../../shared/replica-access.ts";
import { REPLICA_ROLE } from "../../shared/replica-name.ts";
import { psqlOverSocket } from "../support/agent/point-in-time.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const access = { names: ["db2", "db3"], keepMegabytes: 512, synchronous: false };

describe("letting replicas in, in the server's own rules", () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
    const authority = await makeAuthority();
    const own = await makeCertificate(authority, { role: REPLICA_ROLE, address: "127.0.0.1" });
    const files = { authority: authority.certificate, certificate: own.certificate, key: own.key };
    for (const [kind, name] of Object.entries(TLS_FILES))
      await write(name, files[kind as keyof typeof files]);
  });
  afterAll(() => postgres?.stop());

  async function write(name: string, content: string): Promise<void> {
    const script = `umask 077; mkdir -p "$PGDATA/${TLS_FOLDER}"; cat > "$PGDATA/${TLS_FOLDER}/${name}"`;
    const command = ["gosu", "postgres", "sh", "-c", script];
    const { code, stderr } = await collectFromContainer(postgres.container, command, Buffer.from(content));
    if (code !== 0) throw new Error(stderr);
  }

  const state = async () => {
    const [row] = await query(
      postgres,
      "postgres",
      `SELECT pg_read_file(current_setting('hba_file')) AS rules,
              (SELECT json_agg(slot_name ORDER BY slot_name) FROM pg_replication_slots) AS slots,
              (SELECT count(*)::int FROM pg_hba_file_rules WHERE error IS NOT NULL) AS errors,
              current_setting('ssl') AS ssl, current_setting('max_slot_wal_keep_size') AS kept`,
    );
    return row as { rules: string; slots: string[] | null; errors: number; ssl: string; kept: string };
  };
  const psqlAs = (conninfo: string) =>
    collectFromContainer(postgres.container, [
      ...["gosu", "postgres", "psql", "-XAtqw", conninfo, "-c", "SELECT current_user"],
    ]);

  it("a role with a certificate comes in over TLS, whatever is repeated; without one, or without TLS, it does not", async () => {
    for (let run = 0; run < 2; run++)
      await psqlOverSocket(postgres, allowReplicas("budgie_user", false, access));
    expect(await state()).toMatchObject({
      slots: ["budgie_replica_db2", "budgie_replica_db3"],
      errors: 0,
      ssl: "on",
      kept: "512MB",
    });
    const folder = `/var/lib/postgresql/data/${TLS_FOLDER}`;
    const as = `host=127.0.0.1 dbname=postgres user=${REPLICA_ROLE}`;
    const proof = `sslrootcert=${folder}/authority.crt sslcert=${folder}/own.crt sslkey=${folder}/own.key`;
    expect(await psqlAs(`${as} sslmode=verify-full ${proof}`)).toMatchObject({
      code: 0,
      stdout: `${REPLICA_ROLE}\n`,
    });
    expect((await psqlAs(`${as} sslmode=require`)).stderr).toContain("requires a valid client certificate");
  });

  it("a stranger's certificate opens nothing", async () => {
    const authority = await makeAuthority();
    const own = await makeCertificate(authority, { role: REPLICA_ROLE, address: "127.0.0.1" });
    await write("stranger.crt", own.certificate);
    await write("stranger.key", own.key);
    const folder = `/var/lib/postgresql/data/${TLS_FOLDER}`;
    const answer = await psqlAs(
      `host=127.0.0.1 dbname=postgres user=${REPLICA_ROLE} sslmode=require sslcert=${folder}/stranger.crt sslkey=${folder}/stranger.key`,
    );
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain("SSL error");
  });

  it("only the replicas come from another network: the rule for everybody with a password is the stack's network's alone", async () => {
    const { rules } = await state();
    const own = rules.split("\n").filter(line => /^host/.test(line) && !/127\.0\.0\.1|::1/.test(line));
    expect(own).toEqual([
      "hostssl all,replication budgie_replica all cert # budgie:replicaHosts",
      "host all all samenet scram-sha-256 # budgie:replicaHosts",
      "host all,replication all all reject # budgie:replicaHosts",
      "host all all all scram-sha-256",
    ]);
  });

  it("a replica that is no longer wanted loses its slot, and with the last one everything is as it was", async () => {
    await psqlOverSocket(postgres, allowReplicas("budgie_user", false, { ...access, names: ["db3"] }));
    expect((await state()).slots).toEqual(["budgie_replica_db3"]);
    await psqlOverSocket(postgres, withdrawReplicas());
    const { rules, ...rest } = await state();
    expect(rules).not.toMatch(/budgie_replica|replicaHosts/);
    expect(rest).toEqual({ slots: null, errors: 0, ssl: "off", kept: "-1" });
    await psqlOverSocket(postgres, withdrawReplicas());
    const [role] = await query(postgres, "postgres", "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", [
      REPLICA_ROLE,
    ]);
    expect(role).toEqual({ rolcanlogin: false });
  });
});
