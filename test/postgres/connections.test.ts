import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { describeHolder, tableHolders } from "../../agent/server/table-locks.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const PLACES = 20;

let postgres: TestPostgres;
let agent: TestAgent;
const clients: pg.Client[] = [];

const sql = (text: string, database = "budgie_dev") => query(postgres, database, text);

async function client(application: string, user = postgres.user): Promise<pg.Client> {
  const url = new URL(postgres.url("budgie_dev"));
  if (user !== postgres.user) [url.username, url.password] = [user, "x"];
  const opened = new pg.Client({ connectionString: url.href, application_name: application });
  opened.on("error", () => undefined);
  await opened.connect();
  clients.push(opened);
  return opened;
}

/** Idle clients of the stack's own role, until the server lets none in. */
async function takeEveryPlace(): Promise<void> {
  for (;;) {
    try {
      await client("leak");
    } catch (error) {
      expect((error as Error).message).toBe("sorry, too many clients already");
      return;
    }
  }
}

async function problems(): Promise<string> {
  const { stdout } = await agent.run(["status", "--json"]);
  return (JSON.parse(stdout) as { problems: string[] }).problems.join("\n");
}

beforeAll(async () => {
  postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
  await sql(`ALTER SYSTEM SET max_connections = ${PLACES}`);
  await sql("ALTER SYSTEM SET max_prepared_transactions = 5");
  await postgres.container.restart();
  await postgres.ready();
  await sql(
    "CREATE TABLE entries AS SELECT 1 AS id; CREATE ROLE tester SUPERUSER LOGIN PASSWORD 'x'; CREATE ROLE alice LOGIN PASSWORD 'x'",
  );
  agent = await startAgent(postgres, { database: "budgie_dev" });
  const first = await agent.run(["backup"]);
  expect(first.code, first.stderr).toBe(EXIT.done);
});

afterAll(async () => {
  await agent?.stop();
  await postgres?.stop();
});

afterEach(async () => {
  for (const opened of clients.splice(0)) await opened.end().catch(() => undefined);
});

describe("where idle clients of the stack's own role have taken every connection", () => {
  it("backup, drill, the identity's check and restore go on, and end no client but those of the swap", async () => {
    await takeEveryPlace();
    const backup = await agent.run(["backup", "--json"]);
    expect(backup.code, backup.stderr).toBe(EXIT.done);
    expect(JSON.parse(backup.stdout).tables).toContainEqual(expect.objectContaining({ rows: 1 }));
    for (const args of [["check-identity"], ["prove-first-backup"], ["drill", "latest"]]) {
      const { code, stderr } = await agent.run(args);
      expect(code, stderr).toBe(EXIT.done);
    }
    for (const idle of clients) expect((await idle.query("SELECT id FROM entries")).rowCount).toBe(1);

    const restored = await agent.run(["restore", "latest"]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect(await sql("SELECT id FROM entries")).toEqual([{ id: 1 }]);
  });

  it("the status says who has them since when, and its line ends the idle ones", async () => {
    await takeEveryPlace();
    // Only those are ended that have been idle for a while; this server's clock cannot be moved, so the line is shortened.
    const told = await problems();
    expect(told).toMatch(
      new RegExp(
        `No client gets into the database any more: all ${PLACES} connections are taken, ${PLACES} \\(budgie_user, leak, from [\\d.]+; ${PLACES} of them idle; the first since 20[-\\d]+ [:\\d]+ UTC\\)\\.`,
      ),
    );
    const line = /-c "(SELECT pg_terminate_backend.*)"$/m.exec(told)?.[1] ?? "";
    const way = new pg.Client({
      connectionString: postgres.url("postgres"),
      replication: "database",
    } as object);
    await way.connect();
    await way.query(line.replace("1 minute", "0"));
    await way.end();
    await until("a free connection", problems, said => !said.includes("No client gets in"));
  });

  it("large objects need a client's connection, and the message says so", async () => {
    await sql("SELECT lo_from_bytea(4711, 'kept')");
    await takeEveryPlace();
    const { code, stderr } = await agent.run(["backup"]);
    await sql("SELECT 1").catch(() => undefined);
    expect(code).toBe(EXIT.failed);
    expect(stderr).toContain("budgie_dev holds large objects");
    expect(stderr).toContain("npx budgie status");
    for (const opened of clients.splice(0)) await opened.end();
    await sql("SELECT lo_unlink(4711)");
    expect((await agent.run(["backup"])).code).toBe(EXIT.done);
  });
});

describe("a table that somebody holds", () => {
  it("is named by a backup that waited in vain, with who holds it, and the line that ends that", async () => {
    const holder = await client("import");
    await holder.query("BEGIN; LOCK TABLE entries");

    const { code, stderr } = await agent.run(["backup"]);

    expect(code).toBe(EXIT.failed);
    expect(stderr).toMatch(
      /A table of budgie_dev could not be read, because somebody holds it\. Pid \d+ \(budgie_user, import, from [\d.]+\) holds (public\.)?entries since 20[-\d]+ [:\d]+ UTC\./,
    );
    await sql(/-c "(SELECT pg_terminate_backend.*)"$/m.exec(stderr)?.[1] ?? "");
    expect((await agent.run(["backup"])).code).toBe(EXIT.done);
  });

  it("by one who waits for a reader: both are named", async () => {
    const reader = await client("report");
    await reader.query("BEGIN; SELECT FROM entries");
    const waiter = await client("migration");
    const [row] = (await reader.query("SELECT pg_backend_pid() AS pid")).rows;
    void waiter.query("ALTER TABLE entries ADD note text").catch(() => undefined);
    const watch = await client("watch", "tester");
    const found = await until(
      "one who waits",
      () => tableHolders(watch),
      holders => holders.length > 0,
    );
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ application: "migration", granted: false, waitsFor: [row.pid] });
    expect(found[0] && describeHolder(found[0])).toContain(`behind pid ${row.pid}`);
  });

  it("by a prepared transaction, which no session can be ended to be rid of", async () => {
    await sql("BEGIN; LOCK TABLE entries; PREPARE TRANSACTION 'half'");
    const watch = await client("watch", "tester");
    const found = await tableHolders(watch);
    await sql("ROLLBACK PREPARED 'half'");
    expect(found).toMatchObject([{ pid: null, gid: "half", user: "budgie_user", granted: true }]);
    expect(await tableHolders(watch)).toEqual([]);
  });
});

describe("a role that may not come in any more", () => {
  const asTester = async (text: string) => (await client("tester", "tester")).query(text);

  it.each([
    [
      "its password is another one",
      "PASSWORD 'by hand'",
      /password of budgie_user was changed.*npm run pulumi -- up/s,
    ],
    ["its time is over", "VALID UNTIL '2020-01-01'", /VALID UNTIL\) is over.*npm run pulumi -- up/s],
    ["it may not log in", "NOLOGIN", /NOLOGIN\).*`npm run pulumi -- up` gives it back/s],
  ])("%s: the agent says so, and what lifts it", async (_, change, says) => {
    const [before] = (await asTester("SELECT rolpassword FROM pg_authid WHERE rolname = 'budgie_user'")).rows;
    await asTester(`ALTER ROLE budgie_user ${change}`);
    const { code, stderr } = await agent.run(["backup"]);
    await asTester(`ALTER ROLE budgie_user LOGIN VALID UNTIL 'infinity' PASSWORD '${before.rolpassword}'`);
    expect(code).toBe(EXIT.databaseUnreachable);
    expect(stderr).toMatch(says);
    expect((await agent.run(["check-identity"])).code).toBe(EXIT.done);
  });

  it("the database lets no session in: the line that the message names lets them in again", async () => {
    await asTester("SELECT 1");
    for (const opened of clients.splice(0)) await opened.end();
    await sql("ALTER DATABASE budgie_dev ALLOW_CONNECTIONS false", "postgres");
    const { code, stderr } = await agent.run(["check-identity"]);
    expect(code).toBe(EXIT.databaseUnreachable);
    await sql(/-c '(ALTER DATABASE .*)'$/m.exec(stderr)?.[1] ?? "", "postgres");
    expect((await agent.run(["check-identity"])).code).toBe(EXIT.done);
  });
});

describe("a server that has no place for receivers of WAL", () => {
  it("is told once the clients have taken every other place, with what helps then", async () => {
    await sql("ALTER SYSTEM SET max_wal_senders = 0", "postgres");
    await postgres.container.restart();
    await postgres.ready();
    expect((await agent.run(["check-identity"])).code).toBe(EXIT.done);
    await takeEveryPlace();
    const { code, stderr } = await agent.run(["backup"]);
    expect(code).toBe(EXIT.databaseUnreachable);
    expect(stderr).toContain("Others have taken every connection that the server has");
    expect(stderr).toContain("npx budgie restart db");
  });
});
