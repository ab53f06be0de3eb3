import { randomBytes } from "node:crypto";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { startReceivableServer } from "../support/agent/point-in-time.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import type { TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const stack = `moment-${randomBytes(4).toString("hex")}`;
const run = (...args: string[]) =>
  execa("node", ["scripts/budgie.mjs", "--stack", stack, ...args], {
    all: true,
    reject: false,
    stdin: "ignore",
  });

describe("looking at a moment", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  /** When ten rows were there, as somebody in Berlin types it. */
  let then: string;

  const sql = (text: string) => query(postgres, LIVE, text);
  const places = async () => (await agent.exec(["ls", "/var/lib/postgresql/data"])).stdout.trim();
  const pointInTime = async () =>
    (JSON.parse((await agent.run(["status", "--json"])).stdout) as Status).pointInTime;
  const reaches = (at: number) =>
    until("that moment", pointInTime, found => Date.parse(found?.latest ?? "") >= at, { withinMs: 180_000 });

  beforeAll(async () => {
    postgres = await startReceivableServer();
    await sql("CREATE TABLE entries AS SELECT generate_series(1, 10) AS id");
    agent = await startAgent(postgres, {
      database: LIVE,
      environment: { BUDGIE_POINT_IN_TIME: "true" },
      labels: { "budgie.stack": stack, "budgie.prefix": stack, "budgie.role": "backup-agent" },
    });
    await until("the first base backup", pointInTime, found => (found?.earliest ?? null) !== null, {
      withinMs: 180_000,
    });
    const [{ at } = {}] = await sql(
      "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC' + '1 hour', 'YYYY-MM-DD HH24:MI:SS.US') AS at",
    );
    then = `${at}+01`;
    await sql("DELETE FROM entries WHERE id > 3");
    await sql("INSERT INTO entries VALUES (11)");
    const now = Date.now();
    await reaches(now);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("shows what was there then, read-only, and leaves nothing", async () => {
    const { exitCode, stdout, all } = await run(
      "at",
      then,
      "psql",
      "--",
      "-Atc",
      "SELECT count(*) FROM entries",
    );
    expect(exitCode, all).toBe(EXIT.done);
    expect(stdout.trim()).toBe("10");
    const written = await run("at", then, "psql", "--", "-c", "DELETE FROM entries");
    expect(written.exitCode, written.all).toBe(1);
    expect(written.all).toContain("cannot execute DELETE in a read-only transaction");
    expect(await sql("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 4 }]);
    expect(await places()).toBe("");
  });

  it("refuses a moment outside of the window with the window, and a vague one; what to type next looks again", async () => {
    const early = await run("at", "2020-01-01 00:00:00Z", "psql");
    expect(early.exitCode, early.all).toBe(EXIT.unusableBackup);
    expect(early.all).toMatch(/cannot be gone back to: \.\/backups reaches from .* UTC to .* UTC/);
    const again = /npx budgie at ("[^"]+") psql/.exec(early.all)?.[1] ?? "";
    const looked = await run("at", JSON.parse(again), "psql", "--", "-Atc", "SELECT count(*) FROM entries");
    expect(looked.stdout.trim(), looked.all).toBe("4");
    const vague = await run("at", "2026-11-22 14:03:00", "psql");
    expect(vague.exitCode, vague.all).toBe(EXIT.usage);
    expect(vague.all).toContain('npx budgie at "2026-11-22 14:03:00+01" psql');
    const none = await run("at", "2026-11-22", "psql");
    expect(none.exitCode, none.all).toBe(EXIT.usage);
  });

  it("the server that is killed with the agent's command is cleared away by the next operation", async () => {
    await agent.killed(["open", "--", then], { afterText: "{" }, "held");
    expect(await places()).toBe("throw-away-look");
    await until(
      "an operation",
      () => agent.run(["prune"]),
      ({ code }) => code === EXIT.done,
    );
    expect(await places()).toBe("");
  });

  it("single tables of that moment are copied beside, under its name in UTC", async () => {
    const { code, stdout, stderr } = await agent.run([
      "restore",
      "--at",
      then,
      "--table",
      "entries",
      "--json",
    ]);
    expect(code, stderr).toBe(EXIT.done);
    const { schema, tables } = JSON.parse(stdout);
    const utc = new Date(`${then.slice(0, 19).replace(" ", "T")}+01:00`).toISOString();
    expect(schema).toBe(`restored_${utc.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "_")}`);
    expect(tables).toMatchObject([{ table: "public.entries", rows: 10 }]);
    expect(await sql(`SELECT count(*)::int AS n FROM ${schema}.entries`)).toEqual([{ n: 10 }]);
    expect(await sql("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 4 }]);
  });
});
