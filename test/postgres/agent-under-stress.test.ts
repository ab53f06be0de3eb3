import { readdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../agent/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const MB = 1024 * 1024;

describe("the backup agent when something gives way", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  const connect = async () => {
    const client = new pg.Client({
      connectionString: postgres.url("budgie_dev"),
      connectionTimeoutMillis: 5000,
      query_timeout: 5000,
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    const client = await connect();
    await client.query(
      "CREATE TABLE entries AS SELECT n AS id, repeat(md5(n::text), 3) AS note FROM generate_series(1, 500000) n",
    );
    await client.end();
  });

  afterEach(() => agent.stop());
  afterAll(() => postgres?.stop());

  it("the disk of the backups is full: refused before it starts, with nothing written", async () => {
    agent = await startAgent(postgres, { database: "budgie_dev", tmpfsBytes: 32 * MB });
    const { code, stderr } = await agent.run(["backup"]);
    expect(code).toBe(EXIT.noSpace);
    expect(stderr).toMatch(/Not enough space in \.\/backups: 64 MB are needed/);
    expect((await agent.exec(["ls", "/backups"])).stdout).toBe("");
  });

  it("the disk fills up during a backup: stopped while the database still has room, nothing left under a final name", async () => {
    agent = await startAgent(postgres, { database: "budgie_dev", tmpfsBytes: 90 * MB });
    const { code, stderr } = await agent.run(["backup"]);
    expect(code, stderr).toBe(EXIT.noSpace);
    expect(stderr).toMatch(/Stopped because only \d+ MB are left/);
    expect((await agent.exec(["ls", "/backups"])).stdout).toBe("");
    expect((await agent.exec(["sh", "-c", "ls -A /backups | grep partial"])).stdout).toBe("");
    expect((await agent.run(["status"])).stdout).toContain("The last backup failed: Stopped because only");
  });

  it("the database goes away in the middle of a backup: an error, and no file", async () => {
    agent = await startAgent(postgres, { database: "budgie_dev" });
    const running = agent.run(["backup"]);
    const client = await connect();
    await until(async () => {
      const { rowCount } = await client.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'budgie dump'",
      );
      return rowCount === 1;
    });
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
    agent = await startAgent(postgres, { database: "budgie_dev" });
    const { file } = JSON.parse((await agent.run(["backup", "--json"])).stdout);
    const client = await connect();
    await client.query("INSERT INTO entries VALUES (-1, 'after the backup')");

    const running = agent.run(["restore", file]);
    await until(async () => {
      const { rowCount } = await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'budgie dump' AND datname = 'budgie_dev'",
      );
      return rowCount === 1;
    });

    const { code, stderr } = await running;
    expect(code, stderr).toBe(EXIT.failed);
    expect(stderr).toContain("pg_dump of budgie_dev failed");
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
    agent = await startAgent(postgres, { database: "budgie_dev" });
    const { file } = JSON.parse((await agent.run(["backup", "--json"])).stdout);
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
    if (code === EXIT.done) await until(async () => seen.has(0));
    goOn = false;
    await Promise.all(clients);
    expect(code, stderr).toBe(EXIT.done);
    expect([...seen].sort()).toEqual([0, 1]);
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > giveUpAt) throw new Error("what the test waited for did not come within 30 seconds");
    await delay(20);
  }
}
