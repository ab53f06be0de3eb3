// The agent beside a server that Amazon could run: TLS and nothing else, and a role that is no superuser.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { query } from "../support/database/query.ts";
import { placeInNetwork } from "../support/servers/container-address.ts";
import { type ManagedPostgres, startManagedPostgres } from "../support/servers/managed-postgres.ts";
import { startPostgres } from "../support/servers/postgres.ts";
import { makeCertificate } from "../support/servers/tls.ts";
import { itSlowly } from "../support/slow-lane.ts";

const DATABASE = "budgie_production";
const ROOTS = "/roots.pem";

/** As the API and an operator leave it, who are no superusers either. */
const LEDGER = `
  CREATE EXTENSION pgcrypto;
  CREATE ROLE household_reader;
  CREATE ROLE bookkeeper; GRANT bookkeeper TO budgie_user;
  CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, token bytea DEFAULT gen_random_bytes(8));
  CREATE TABLE entries (id serial PRIMARY KEY, user_id int REFERENCES users, amount numeric(12, 2), at timestamptz DEFAULT now());
  CREATE SCHEMA reports AUTHORIZATION bookkeeper;
  CREATE TABLE reports.yearly (year int PRIMARY KEY, total numeric); ALTER TABLE reports.yearly OWNER TO bookkeeper;
  CREATE VIEW reports.sums AS SELECT user_id, sum(amount) AS total FROM public.entries GROUP BY user_id;
  CREATE MATERIALIZED VIEW reports.counted AS SELECT count(*) AS n FROM public.entries;
  GRANT SELECT ON users TO household_reader;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
  CREATE TRIGGER touched BEFORE UPDATE ON entries FOR EACH ROW EXECUTE FUNCTION touch();
  ALTER TABLE users ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON users TO household_reader USING (email = current_user);
  INSERT INTO users (email) SELECT 'user' || n || '@example.com' FROM generate_series(1, 50) n;
  INSERT INTO entries (user_id, amount) SELECT 1 + n % 50, n / 7.0 FROM generate_series(1, 2000) n;
  INSERT INTO reports.yearly VALUES (2025, 12);
  SELECT lo_from_bytea(0, 'a receipt')`;

describe("the backup agent beside a database that Amazon runs", () => {
  let server: ManagedPostgres;
  let agent: TestAgent;
  let folder: string;

  const asOwner = (text: string, database = DATABASE) => query(server.asOwner, database, text);
  const asSuperuser = (text: string, database = DATABASE) => query(server.asSuperuser, database, text);
  const done = async (...args: string[]) => {
    const { code, stdout, stderr } = await agent.run(args);
    expect(code, stdout + stderr).toBe(EXIT.done);
    return stdout + stderr;
  };
  const newest = async () => {
    const { stdout } = await agent.exec([
      "sh",
      "-c",
      "cd /backups && ls *.sql | grep -v globals | tail -n 1",
    ]);
    return stdout.trim();
  };
  const rows = async () => (await asOwner("SELECT count(*)::int AS n FROM entries"))[0]?.n;

  beforeAll(async () => {
    server = await startManagedPostgres(DATABASE);
    folder = await mkdtemp(join(tmpdir(), "budgie-roots-"));
    await asOwner(LEDGER);
    agent = await startAgent(server.asOwner, {
      database: DATABASE,
      stack: "prod",
      environment: { BUDGIE_DATABASE_ROOTS_FILE: ROOTS },
      binds: [`${server.certificate}:${ROOTS}:ro`],
    });
    await asSuperuser("ALTER SYSTEM SET log_connections = on", "postgres");
    await asSuperuser("SELECT pg_reload_conf()", "postgres");
  });

  afterAll(async () => {
    await agent?.stop();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("is no superuser there, and may not replicate", async () => {
    expect(
      await asOwner(
        "SELECT rolsuper, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user",
      ),
    ).toEqual([{ rolsuper: false, rolreplication: false, rolbypassrls: false }]);
  });

  const takesBackup = async (format: string) => {
    await agent.clear();
    const said = await done("backup", "--format", format);
    expect(said).toMatch(/budgie_\d{8}_\d{6}/);
    expect(said).not.toContain("could not be looked up");
    const { stdout } = await agent.exec(["sh", "-c", "cat /backups/*.globals.sql"]);
    expect(stdout).toContain("CREATE ROLE household_reader");
    expect(stdout).not.toContain("PASSWORD");
    expect(await done("drill", "latest")).toMatch(/proven|same|equal/i);
    await done("verify", "latest");
  };
  it("takes a backup with the roles beside it, and proves it", () => takesBackup("sql"));
  itSlowly("takes a backup of a directory, too", () => takesBackup("dir.tar"), 60_000);

  const restoresBackup = async (format: string) => {
    await agent.clear();
    await done("backup", "--format", format);
    const owners = `SELECT schemaname || '.' || tablename AS name, tableowner FROM pg_tables
                     WHERE schemaname IN ('public', 'reports') ORDER BY 1`;
    const before = await asOwner(owners);
    await asOwner("DELETE FROM entries WHERE id > 10");
    await done("restore", "latest");
    expect(await rows()).toBe(2000);
    expect(await asOwner(owners)).toEqual(before);
    expect(await asOwner("INSERT INTO entries (user_id, amount) VALUES (7, 1) RETURNING id")).toEqual([
      { id: 2001 },
    ]);
    await done("restore", "--undo");
    expect(await rows()).toBe(10);
    await asOwner(
      "INSERT INTO entries (id, user_id, amount) SELECT n, 1 + n % 50, n / 7.0 FROM generate_series(11, 2000) n",
    );
    await done("drop-previous", "--older-than", "0", "--yes");
  };
  it("restores a backup, every row and every owner, and takes it back", () => restoresBackup("sql"));
  itSlowly("restores a backup in pg_dump's own format, too", () => restoresBackup("dump"), 60_000);

  itSlowly("restores while others are connected, and ends their sessions", async () => {
    await agent.clear();
    await done("backup");
    await asSuperuser("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest'");
    const guest = new pg.Client({
      connectionString: server.asOwner.url(DATABASE),
      user: "guest",
      password: "guest",
    });
    guest.on("error", () => undefined);
    await guest.connect();
    await asOwner("DELETE FROM entries");
    await done("restore", "latest");
    expect(await rows()).toBe(2000);
    await expect(guest.query("SELECT 1")).rejects.toThrow();
    await done("drop-previous", "--older-than", "0", "--yes");
  });

  itSlowly(
    "swaps nothing while a superuser is connected, whose session it may not end, and goes on afterwards",
    async () => {
      await agent.clear();
      await done("backup");
      const file = await newest();
      await asOwner("DELETE FROM entries WHERE id > 10");
      const other = new pg.Client({ connectionString: server.asSuperuser.url(DATABASE) });
      await other.connect();
      const { code, stderr } = await agent.run(["restore", "latest"]).finally(() => other.end());
      expect(code, stderr).toBe(EXIT.busy);
      expect(stderr).toMatch(/rdsadmin is connected to budgie_production/);
      expect(await rows()).toBe(10);
      await done("restore", file);
      expect(await rows()).toBe(2000);
      await done("drop-previous", "--older-than", "0", "--yes");
    },
    150_000,
  );

  itSlowly("restores a file that this stack did not write", async () => {
    await agent.clear();
    await done("backup");
    const file = await newest();
    await agent.exec(["sh", "-c", `mv /backups/${file} /backups/brought.sql && rm -f /backups/budgie_*`]);
    await asOwner("DELETE FROM entries");
    expect(await done("restore", "/backups/brought.sql")).toContain("everything will belong to budgie_user");
    expect(await rows()).toBe(2000);
    expect(await asOwner("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'reports'")).toEqual([
      { tableowner: "budgie_user" },
    ]);
    expect(await asSuperuser("SELECT FROM pg_roles WHERE rolname = 'budgie_loader'")).toEqual([]);
    await done("restore", "/backups/brought.sql", "--trust-file");
    expect(await rows()).toBe(2000);
    await done("drop-previous", "--older-than", "0", "--yes");
  });

  itSlowly("copies a table out of a backup, into a schema beside", async () => {
    await agent.clear();
    await done("backup");
    const said = await done("restore", "latest", "--table", "entries");
    const [schema] = /restored_\w+/.exec(said) ?? [];
    expect(schema, said).toBeDefined();
    expect(await asOwner(`SELECT count(*)::int AS n FROM ${schema}.entries`)).toEqual([{ n: 2000 }]);
    await asOwner(`DROP SCHEMA ${schema} CASCADE`);
  });

  itSlowly(
    "is moved to from a container, and back, over verified TLS, with every row each time",
    async () => {
      const old = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
      const { address: oldAddress } = await placeInNetwork(old.container);
      const move = async (from: TestAgent, target: object) => {
        const kept = await from.run(["keep-target"], Buffer.from(JSON.stringify({ port: 5432, ...target })));
        const begun = Date.now();
        const moved = await from.run(["migrate", "cut-over", "--target", kept.stdout.trim()]);
        expect(moved.code, moved.stdout + moved.stderr).toBe(EXIT.done);
        return (Date.now() - begun) / 1000;
      };
      const there = {
        host: server.address,
        user: "budgie_user",
        password: server.asOwner.password,
        database: "moved_here",
        sslMode: "verify-full",
        rootCertificate: await readFile(server.certificate, "utf8"),
      };
      const back = {
        host: oldAddress,
        user: old.user,
        password: old.password,
        database: "back_again",
        sslMode: "disable",
        rootCertificate: null,
      };
      await query(old, "budgie_dev", LEDGER);
      const agents: TestAgent[] = [];
      try {
        agents.push(await startAgent(old, { database: "budgie_dev", stack: "old" }));
        const seconds = await move(agents[0] as TestAgent, there);
        const counts =
          "SELECT (SELECT count(*)::int FROM users) AS users, (SELECT count(*)::int FROM entries) AS entries";
        expect(await asOwner(counts, "moved_here")).toEqual([{ users: 50, entries: 2000 }]);
        await asOwner("INSERT INTO entries (user_id, amount) VALUES (7, 1)", "moved_here");
        agents.push(
          await startAgent(server.asOwner, {
            database: "moved_here",
            stack: "new",
            environment: { BUDGIE_DATABASE_ROOTS_FILE: ROOTS },
            binds: [`${server.certificate}:${ROOTS}:ro`],
          }),
        );
        const secondsBack = await move(agents[1] as TestAgent, back);
        expect(await query(old, "back_again", counts)).toEqual([{ users: 50, entries: 2001 }]);
        process.stdout.write(`cut-over: ${seconds} s there, ${secondsBack} s back\n`);
      } finally {
        for (const each of agents) await each.stop();
        await old.stop();
      }
    },
    240_000,
  );

  it("says how things stand, and that they are well", async () => {
    await agent.clear();
    await done("backup");
    await done("drill", "latest");
    const { stdout, stderr } = await agent.run(["status", "--json"]);
    expect(JSON.parse(stdout), stderr).toMatchObject({ problems: [] });
  });

  it("speaks TLS in every session, of its own and of its programs", async () => {
    const sessions = (await server.asSuperuser.log())
      .split("\n")
      .filter(line => line.includes("connection authorized: user=budgie_user"));
    expect(sessions.length).toBeGreaterThan(10);
    expect(sessions.filter(line => !line.includes("SSL enabled"))).toEqual([]);
  });

  it("trusts no other certificate, and says where the right ones come from", async () => {
    const strange = await makeCertificate("10.99.99.99", folder, "strange");
    const other = await startAgent(server.asOwner, {
      database: DATABASE,
      environment: { BUDGIE_DATABASE_ROOTS_FILE: ROOTS },
      binds: [`${strange.certificate}:${ROOTS}:ro`],
    });
    try {
      const { code, stderr } = await other.run(["backup"]);
      expect(code).toBe(EXIT.databaseUnreachable);
      expect(stderr).toMatch(/certificate/);
      expect(stderr).toContain("budgie:databaseCertificates");
    } finally {
      await other.stop();
    }
  });
});
