import { readdir } from "node:fs/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { costlyRows } from "../../agent/memory/longest-row.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { describeSlowly } from "../support/slow-lane.ts";

const MB = 1024 * 1024;
/** `budgie:databaseMemoryMegabytes` as it is when nobody sets it. */
const DEFAULT_MEGABYTES = 1024;

const COMPRESSIBLE = (bytes: number) => `repeat('x', ${bytes})`;
/** PostgreSQL's compression does not look back this far. */
const RANDOM = (bytes: number) =>
  `(SELECT repeat(string_agg(encode(sha512(n::text::bytea), 'hex'), ''), ${bytes / 128_000}) FROM generate_series(1, 1000) AS n)`;

describeSlowly("rows that take much of the database's memory", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  /** Stands for a client that was connected all along. */
  let idle: pg.Client;

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    // A server in use has full shared buffers.
    const filling = await connect("budgie_dev");
    await filling.query(
      "CREATE TABLE ordinary AS SELECT n, repeat('x', 150) AS note FROM generate_series(1, 900000) AS n",
    );
    await filling.end();
    // A restore ends the sessions of the database that it replaces, and no others.
    idle = await connect("postgres");
    agent = await startAgent(postgres, { database: "budgie_dev" });
  });

  afterAll(async () => {
    await idle?.end();
    await agent?.stop();
    await postgres?.stop();
  });

  async function connect(database: string) {
    const client = new pg.Client({ connectionString: postgres.url(database) });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** As a stack with this setting limits its containers. */
  const limitTo = async (megabytes: number) => {
    const limit = (bytes: number) => ({ Memory: bytes, MemorySwap: bytes });
    await postgres.container.update(limit(megabytes * MB));
    await agent.container.update(limit((megabytes + 512) * MB));
  };

  const withMemory = (megabytes: number, args: string[]) =>
    agent.exec(["env", `BUDGIE_DATABASE_MEMORY_MEGABYTES=${megabytes}`, "budgie-agent", ...args]);
  const backup = (megabytes: number, args: string[] = []) => withMemory(megabytes, ["backup", ...args]);

  /** Lets `make` fill the database, limits the memory, and takes a backup. */
  async function backupWith(make: string, megabytes = DEFAULT_MEGABYTES, args: string[] = []) {
    await limitTo(8192);
    const client = await connect("budgie_dev");
    await client.query(make);
    await client.end();
    await limitTo(megabytes);
    return backup(megabytes, args);
  }

  /** The client from before is still connected, so no session was cut and no process was killed. */
  async function expectNothingKilled() {
    await idle.query("SELECT 1");
    expect(await postgres.log()).not.toContain("terminated by signal 9");
  }

  const backups = async () =>
    (await readdir(agent.directory)).filter(name => /\d\.(sql|dir\.tar)$/.test(name));

  it("are backed up where there is memory enough: text of 190 MB", async () => {
    const { code, stderr } = await backupWith(`CREATE TABLE big AS SELECT ${RANDOM(192_000_000)} AS t`);
    await expectNothingKilled();
    expect(code, stderr).toBe(EXIT.done);
  });

  it.each([
    ["text of 300 MB", COMPRESSIBLE(320_000_000), 1469, 1792],
    ["bytea of 200 MB that does not compress", `convert_to(${RANDOM(192_000_000)}, 'UTF8')`, 1164, 1536],
    ["bytea of 200 MB that compresses well", `convert_to(${COMPRESSIBLE(192_000_000)}, 'UTF8')`, 1164, 1536],
    ["bytea of 300 MB", `convert_to(${COMPRESSIBLE(320_000_000)}, 'UTF8')`, 1774, 2816],
  ])(
    "are refused where there is not, with the setting that helps: %s",
    async (_what, value, taken, helps) => {
      const before = await backups();
      const { code, stderr } = await backupWith(
        `DROP TABLE IF EXISTS big; CREATE TABLE big AS SELECT ${value} AS b`,
      );
      await expectNothingKilled();
      expect(code, stderr).toBe(EXIT.failed);
      expect(stderr).toContain("public.big");
      expect(stderr).toContain(
        `up to ${taken} MB in the database's container, where the kernel kills whatever needs more than 1024 MB`,
      );
      expect(stderr).toContain(`config set budgie:databaseMemoryMegabytes ${helps}`);
      expect(await backups()).toEqual(before);
    },
  );

  it("are backed up with the setting that the refusal names", async () => {
    await limitTo(2816);
    const { code, stderr } = await backup(2816);
    await expectNothingKilled();
    expect(code, stderr).toBe(EXIT.done);
  });

  it("are drilled and restored with that setting, one thing after the other, and nothing is killed", async () => {
    const { code, stderr } = await withMemory(2816, ["drill", "latest"]);
    expect(code, stderr).toBe(EXIT.done);
    const restored = await withMemory(2816, ["restore", "latest"]);
    await expectNothingKilled();
    expect(restored.code, restored.stderr).toBe(EXIT.done);
  });

  it("are not loaded where there is not memory enough: the restore and the drill name the table and the setting", async () => {
    await limitTo(DEFAULT_MEGABYTES);
    for (const args of [
      ["restore", "latest"],
      ["drill", "latest"],
    ]) {
      const { code, stderr } = await withMemory(DEFAULT_MEGABYTES, args);
      await expectNothingKilled();
      expect(code, stderr).toBe(EXIT.failed);
      expect(stderr).toMatch(/The longest row of public\.big has about 6\d\d MB as text/);
      expect(stderr).toContain("config set budgie:databaseMemoryMegabytes 2816");
    }
  });

  it("are told apart from a row that no pg_dump can write", async () => {
    const { code, stderr } = await backupWith("ALTER TABLE big ADD again bytea; UPDATE big SET again = b");
    await expectNothingKilled();
    expect(code, stderr).toBe(EXIT.failed);
    expect(stderr).toContain("A row of public.big is 1221 MB long as text");
    expect(stderr).not.toContain("databaseMemoryMegabytes");
  });

  it("of two tables are dumped one after the other where both at once have no room", async () => {
    const make = `DROP TABLE big; CREATE TABLE one AS SELECT ${COMPRESSIBLE(64_000_000)} AS t; CREATE TABLE two AS TABLE one`;
    const { code, stderr } = await backupWith(make, 512, ["--format", "dir.tar"]);
    await expectNothingKilled();
    expect(code, stderr).toBe(EXIT.done);
  });

  it("are not looked for in a way that reads them, and the look leaves nothing behind", async () => {
    await limitTo(8192);
    const session = await connect("budgie_dev");
    await session.query(
      'DROP TABLE one, two; CREATE DOMAIN photo AS bytea; CREATE TABLE "odd ""name" (id int, t text, b photo, j jsonb, a text[])',
    );
    const block = RANDOM(8_960_000);
    await session.query(
      `INSERT INTO "odd ""name" SELECT 1, ${block}, convert_to(${block}, 'UTF8'), to_jsonb(${block}), ARRAY[${block}]`,
    );
    const read = async () => {
      await session.query("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()");
      const { rows } = await session.query(
        "SELECT toast_blks_read + toast_blks_hit AS n FROM pg_statio_user_tables WHERE relname = 'odd \"name'",
      );
      return rows[0].n;
    };
    const before = await read();
    const [row, ...others] = await costlyRows(session);
    expect(await read()).toBe(before);
    expect(others).toEqual([]);
    expect(row?.table).toBe('public."odd ""name"');
    const n = 8_960_000;
    expect(row?.dumping).toBeGreaterThanOrEqual(n * (4 + 5 + 8 + 16));
    expect(row?.dumping).toBeLessThan(n * (4 + 5 + 8 + 16) * 1.001);
    expect((await session.query("SELECT FROM pg_proc WHERE proname LIKE 'budgie%'")).rowCount).toBe(0);
    expect((await session.query("SELECT FROM pg_namespace WHERE nspname LIKE 'pg_temp%'")).rowCount).toBe(0);
    await session.end();
  });

  it("are looked for although the operator's event trigger forbids new functions", async () => {
    const session = await connect("budgie_dev");
    await session.query(`
      CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$;
      CREATE EVENT TRIGGER forbid ON ddl_command_start EXECUTE FUNCTION forbid()`);
    expect(await costlyRows(session)).toHaveLength(1);
    await session.query("ALTER EVENT TRIGGER forbid ENABLE ALWAYS");
    const { code, stdout, stderr } = await agent.run(["backup"]);
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain("could not be looked up (not here)");
    await session.end();
  });
});
