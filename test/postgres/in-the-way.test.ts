import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Reporter } from "../../agent/base/reporter.ts";
import { requireFreeWay } from "../../agent/restore/in-the-way.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("what stands in the way of a restore is seen first", () => {
  let postgres: TestPostgres;
  let session: pg.Client;
  let agent: TestAgent;
  const warnings: string[] = [];
  const report: Reporter = {
    info: () => undefined,
    done: () => undefined,
    warn: text => warnings.push(text),
    progress: () => ({ at: () => undefined, end: () => undefined }),
  };

  const sql = (text: string, database = "budgie_dev") => query(postgres, database, text);
  const status = async (): Promise<{ fine: boolean; problems: string[]; warnings: string[] }> =>
    JSON.parse((await agent.run(["status", "--json"])).stdout);

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await sql("ALTER SYSTEM SET max_prepared_transactions = 5");
    await sql("ALTER SYSTEM SET wal_level = logical");
    await postgres.container.restart();
    await postgres.ready();
    await sql("CREATE TABLE entries AS SELECT 1 AS id; CREATE ROLE alice LOGIN SUPERUSER");
    session = new pg.Client({ connectionString: postgres.url("postgres") });
    await session.connect();
    agent = await startAgent(postgres, { database: "budgie_dev" });
  });

  afterAll(async () => {
    await session?.end();
    await agent?.stop();
    await postgres?.stop();
  });

  afterEach(() => void warnings.splice(0));

  const freeWay = (longSeconds?: number) => requireFreeWay(session, "budgie_dev", report, longSeconds);

  it("nothing is said of a database that nobody is busy with", async () => {
    expect(await freeWay()).toEqual({ slotsLeftBehind: [] });
    expect(warnings).toEqual([]);
  });

  it("a prepared transaction, with whoever prepared it and the lines that end it, as psql takes them", async () => {
    const gid = "it's \\ odd";
    await sql(
      `SET ROLE alice; BEGIN; INSERT INTO entries VALUES (2); PREPARE TRANSACTION ${pg.escapeLiteral(gid)}`,
    );
    const stop = await freeWay().catch((error: unknown) => error);
    if (!(stop instanceof Stop)) throw new Error(`${stop}`);
    expect(stop.code).toBe(EXIT.busy);
    expect(stop.message).toMatch(
      /^budgie_dev holds a prepared transaction: it's \\ odd \(of alice, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\)\./,
    );
    expect((await status()).warnings.join()).toContain("budgie_dev holds a prepared transaction: it's");

    const line = /or (ROLLBACK PREPARED .*;)$/.exec(stop.next ?? "")?.[1] ?? "";
    await sql(line);
    expect(await freeWay()).toEqual({ slotsLeftBehind: [] });
    expect((await status()).warnings.join()).not.toContain("prepared transaction");
  });

  it("every one of several, and none of another database", async () => {
    await sql("CREATE DATABASE other");
    for (const [gid, database] of [
      ["one", "budgie_dev"],
      ["two", "budgie_dev"],
      ["theirs", "other"],
    ] as const)
      await sql(`BEGIN; CREATE TABLE t_${gid} (); PREPARE TRANSACTION '${gid}'`, database);
    await expect(freeWay()).rejects.toThrow(
      /holds 2 prepared transactions: one \(of budgie_user, .*, two \(of/,
    );
    await sql("COMMIT PREPARED 'one'");
    await sql("ROLLBACK PREPARED 'two'");
    await sql("ROLLBACK PREPARED 'theirs'", "other");
    expect(await freeWay()).toEqual({ slotsLeftBehind: [] });
  });

  it("a transaction that somebody left open, with the line that ends it", async () => {
    const client = new pg.Client({
      connectionString: postgres.url("budgie_dev"),
      application_name: "report",
    });
    const ended = new Promise(resolve => client.on("error", resolve));
    await client.connect();
    await client.query("BEGIN; INSERT INTO entries VALUES (3)");
    expect(await freeWay(), "younger than a minute").toEqual({ slotsLeftBehind: [] });
    expect(warnings).toEqual([]);

    await freeWay(0);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /^A transaction is open in budgie_dev since 20[-\d]+ [:\d]+ UTC \(pid \d+, budgie_user, report\)\. The swap ends its session/,
    );
    const line = /-c "(SELECT pg_terminate_backend.*)"$/.exec(warnings[0] ?? "")?.[1] ?? "";
    await sql(line);
    await ended;
  });

  it("a logical slot, which stays with the database that is set aside, where the status tells it until it is dropped", async () => {
    await sql("SELECT pg_create_logical_replication_slot('feed', 'test_decoding')");
    expect(await freeWay()).toEqual({ slotsLeftBehind: ["feed"] });
    expect(warnings[0]).toContain("The logical replication slot feed will stay with the database");
    const { file } = JSON.parse((await agent.run(["backup", "--json"])).stdout);
    expect((await status()).fine).toBe(true);

    const restored = await agent.run(["restore", file]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);

    const red = await status();
    expect(red.fine).toBe(false);
    const told = red.problems.find(problem =>
      problem.startsWith("The replication slot feed of budgie_dev_before_"),
    );
    expect(told).toMatch(/keeps the server from removing WAL \([\d.]+[BKM], and growing\)/);
    const line = /-c "(SELECT pg_drop_replication_slot.*)"$/.exec(told ?? "")?.[1] ?? "";
    await sql(line);
    expect((await status()).problems).toEqual([]);
  });

  it("texts that another version of the collation sorted are warned of, and reindex sorts them anew", async () => {
    await agent.run(["backup"]);
    await sql("CREATE TABLE sorted (name text PRIMARY KEY); INSERT INTO sorted VALUES ('a'), ('B')");
    const files = async () =>
      (await sql("SELECT pg_relation_filenode('sorted_pkey')::text AS file"))[0]?.file;
    const before = await files();
    await session.query("UPDATE pg_database SET datcollversion = '2.31' WHERE datname = 'budgie_dev'");
    expect((await status()).warnings).toContainEqual(
      expect.stringMatching(
        /sorted by version 2\.31.*an index on text may miss rows\. Build them anew: npx budgie reindex/,
      ),
    );

    const { code, stdout, stderr } = await agent.run(["reindex"]);

    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toMatch(/The indexes of \d+ tables are built anew/);
    expect(await files()).not.toBe(before);
    expect((await status()).warnings.join()).not.toContain("sorted by");
  });

  it("reindex names the key that is there twice, tells no row, and goes on to warn", async () => {
    await sql("CREATE TABLE twice (name text)");
    await sql("INSERT INTO twice VALUES ('secret'), ('secret')");
    await sql("CREATE UNIQUE INDEX twice_key ON twice (name) WHERE name <> 'secret'");
    // As an index is that another collation sorted: it says unique, and the rows are not.
    await session.query("UPDATE pg_database SET datcollversion = '2.31' WHERE datname = 'budgie_dev'");
    await sql("UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'twice_key'::regclass");

    const { code, stderr } = await agent.run(["reindex"]);

    expect(code).toBe(EXIT.failed);
    expect(stderr).toContain(
      "The index twice_key of public.twice cannot be built: two rows have the same key",
    );
    expect(stderr).not.toContain("secret");
    expect((await status()).warnings.join()).toContain("sorted by version 2.31");
    await sql("DROP TABLE twice, sorted");
    expect((await agent.run(["reindex"])).code).toBe(EXIT.done);
    expect((await status()).warnings.join()).not.toContain("sorted by");
  });
});
