import { readdir } from "node:fs/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const MB = 1024 * 1024;
/** What is waited for is soon over. */
const AT_ONCE = { everyMs: 20 };

describe("the backup agent when something gives way", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  const connect = async () => {
    const client = new pg.Client({
      connectionString: postgres.url(LIVE),
      connectionTimeoutMillis: 5000,
      query_timeout: 5000,
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    await makeEntries(postgres, 500_000);
  });

  afterEach(() => agent.stop());
  afterAll(() => postgres?.stop());

  it("the disk of the backups is full: refused before it starts, with nothing written", async () => {
    agent = await startAgent(postgres, { database: LIVE, tmpfsBytes: 32 * MB });
    const { code, stderr } = await agent.run(["backup"]);
    expect(code).toBe(EXIT.noSpace);
    expect(stderr).toMatch(/Not enough space in \.\/backups: 64 MB are needed/);
    expect((await agent.exec(["ls", "/backups"])).stdout).toBe("");
  });

  it("the disk fills up during a backup: stopped while the database still has room, nothing left under a final name", async () => {
    agent = await startAgent(postgres, { database: LIVE, tmpfsBytes: 90 * MB });
    const { code, stderr } = await agent.run(["backup"]);
    expect(code, stderr).toBe(EXIT.noSpace);
    expect(stderr).toMatch(/Stopped because only \d+ MB are left/);
    expect((await agent.exec(["ls", "/backups"])).stdout).toBe("");
    expect((await agent.exec(["sh", "-c", "ls -A /backups | grep partial"])).stdout).toBe("");
    expect((await agent.run(["status"])).stdout).toContain("The last backup failed: Stopped because only");
  });

  it("the database goes away in the middle of a backup: an error, and no file", async () => {
    agent = await startAgent(postgres, { database: LIVE });
    const running = agent.run(["backup"]);
    const client = await connect();
    const dumping = "SELECT FROM pg_stat_activity WHERE application_name = 'budgie dump'";
    await until(
      "the dump's session",
      async () => (await client.query(dumping)).rowCount,
      sessions => sessions === 1,
      AT_ONCE,
    );
    await client.end();
    await postgres.container.kill();
    const { code, stderr } = await running;
    await postgres.container.start();
    await postgres.ready();
    expect([EXIT.failed, EXIT.databaseUnreachable], stderr).toContain(code);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect((await readdir(agent.directory)).filter(name => !name.startsWith("."))).toEqual([]);
  });

  it("the safety backup breaks off while a restore loads: the restore ends too, and the database is as it was", async () => {
    agent = await startAgent(postgres, { database: LIVE });
    const { file } = await takeBackup(agent);
    const client = await connect();
    await client.query("INSERT INTO entries VALUES (-1, 'after the backup')");

    const running = agent.run(["restore", file]);
    const breakOff =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'budgie dump' AND datname = 'budgie_dev'";
    await until(
      "the safety backup's session",
      async () => (await client.query(breakOff)).rowCount,
      sessions => sessions === 1,
      AT_ONCE,
    );

    const { code, stderr } = await running;
    expect(code, stderr).toBe(EXIT.notConfirmed);
    expect(stderr).toContain("What is there cannot be saved first: pg_dump of budgie_dev failed");
    expect(stderr).toContain(`npx budgie restore ${file} --without-safety-backup`);
    expect((await client.query("SELECT FROM entries WHERE id = -1")).rowCount).toBe(1);
    const { rows: databases } = await client.query(
      "SELECT datname FROM pg_database WHERE datname LIKE 'budgie%'",
    );
    expect(databases).toEqual([{ datname: "budgie_dev" }]);
    expect((await readdir(agent.directory)).filter(name => /\d\.sql$/.test(name))).toEqual([file]);
    await client.query("DELETE FROM entries WHERE id = -1");
    await client.end();
  });

  it("six clients that reconnect all the time do not hold off a restore, and none of them sees half of it", async () => {
    agent = await startAgent(postgres, { database: LIVE });
    const { file } = await takeBackup(agent);
    const first = await connect();
    await first.query("INSERT INTO entries VALUES (0, 'after the backup')");
    await first.end();
    let goOn = true;
    const seen = new Set<number>();
    const client = async () => {
      while (goOn) {
        try {
          const session = await connect();
          const { rows } = await session.query("SELECT count(*)::int AS n FROM entries WHERE id = 0");
          seen.add(rows[0].n);
          await session.end();
        } catch {
          // Cut off by the swap: a client comes back by connecting again.
        }
      }
    };
    const clients = Array.from({ length: 6 }, client);
    const { code, stderr } = await agent.run(["restore", file]);
    if (code === EXIT.done)
      await until(
        "a client of the restored database",
        () => [...seen],
        counts => counts.includes(0),
      );
    goOn = false;
    await Promise.all(clients);
    expect(code, stderr).toBe(EXIT.done);
    expect([...seen].sort()).toEqual([0, 1]);
  });
});
