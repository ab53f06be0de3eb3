// Another stack's data on this one, as the settings say it: at once, and by schedule.
import { cp, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import type { StatusLine } from "../../shared/status-lines.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const STAGING = "budgie_staging";
const NIGHTLY = "budgie_nightly";
const PRODUCTION = "budgie_production";
const MASK = "UPDATE users SET email = 'user' || id || '@example.invalid';";

describe("a refresh that the stack's settings ask for", () => {
  let postgres: TestPostgres;
  let production: TestAgent;
  let staging: TestAgent;
  /** What the staging agent reads of the other stack's backups. */
  let folder: string;
  let proven: string;

  const query = (text: string, database = STAGING) => queryIn(postgres, database, text);
  const asidesOf = async (database: string) =>
    (
      await query(
        `SELECT datname FROM pg_database WHERE datname LIKE '${database}\\_before\\_%' ORDER BY 1`,
        "postgres",
      )
    ).map(({ datname }) => String(datname));
  const giveMask = (agent: TestAgent, text: string) =>
    agent.exec(["sh", "-c", `printf '%s\n' "$1" > /root/mask.sql`, "mask", text]);
  const lineOf = async (agent: TestAgent): Promise<StatusLine> => {
    const { stdout } = await agent.run(["status", "--json"]);
    return JSON.parse(stdout).lines.find(({ id }: StatusLine) => id === "refresh");
  };
  const refreshed = async (...args: string[]) => {
    const { code, stdout, stderr } = await staging.run(["refresh", ...args]);
    expect(code, stdout + stderr).toBe(EXIT.done);
    return stdout;
  };
  const start = (database: string, stack: string, environment: Record<string, string> = {}) =>
    startAgent(postgres, {
      database,
      stack,
      manifestKey: "a".repeat(64),
      binds: [`${folder}:/refresh-from:ro`],
      environment: {
        BUDGIE_REFRESH_FROM: "prod",
        BUDGIE_REFRESH_SOURCE: "../prod/backups",
        BUDGIE_REFRESH_MASK: "./mask.sql",
        BUDGIE_REFRESH_MASK_FILE: "/root/mask.sql",
        ...environment,
      },
    });

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: PRODUCTION } });
    await query(
      `CREATE TABLE users (id int PRIMARY KEY, email text);
       INSERT INTO users SELECT n, 'real' || n || '@example.com' FROM generate_series(1, 50) n`,
      PRODUCTION,
    );
    for (const name of [STAGING, NIGHTLY]) await query(`CREATE DATABASE ${name}`, "postgres");
    production = await startAgent(postgres, { database: PRODUCTION, stack: "prod" });
    ({ file: proven } = await takeBackup(production));
    const drilled = await production.run(["drill", proven]);
    expect(drilled.code, drilled.stderr).toBe(EXIT.done);
    await query("INSERT INTO users VALUES (51, 'later@example.com')", PRODUCTION);
    await takeBackup(production);
    folder = await mkdtemp(join(tmpdir(), "budgie-refresh-from-"));
    await cp(production.directory, folder, { recursive: true });
    staging = await start(STAGING, "staging");
  });

  beforeEach(async () => {
    for (const name of [STAGING, ...(await asidesOf(STAGING))])
      await query(`DROP DATABASE ${name} WITH (FORCE)`, "postgres");
    await query(`CREATE DATABASE ${STAGING}`, "postgres");
    await query("CREATE TABLE own AS SELECT 1 AS id");
    await staging.clear();
    const accepted = await staging.run(["accept-database"]);
    expect(accepted.code, accepted.stderr).toBe(EXIT.done);
    await giveMask(staging, MASK);
  });

  afterAll(async () => {
    await staging?.stop();
    await production?.stop();
    await postgres?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const isAsItWas = async () => {
    expect(await query("SELECT id FROM own")).toEqual([{ id: 1 }]);
    expect(await asidesOf(STAGING)).toEqual([]);
  };

  it("takes the newest proven backup out of the other stack's folder, masked, and says so in the status", async () => {
    expect(await lineOf(staging)).toMatchObject({
      level: "OK",
      figure: "from prod (../prod/backups), by hand only, none yet",
    });
    const said = await refreshed();
    expect(said).toContain(`The newest proven backup of prod is ${proven}`);
    expect(
      await query(
        "SELECT count(*)::int AS n, count(*) FILTER (WHERE email LIKE '%example.com')::int AS seen FROM users",
      ),
    ).toEqual([{ n: 50, seen: 0 }]);
    expect(await lineOf(staging)).toMatchObject({
      level: "OK",
      figure: "from prod (../prod/backups), by hand only, last done less than a minute ago",
    });
    const undone = await staging.run(["restore", "--undo"]);
    expect(undone.code, undone.stderr).toBe(EXIT.done);
    expect(await query("SELECT id FROM own")).toEqual([{ id: 1 }]);
  });

  it("deletes what the one before has set aside, and nothing that somebody's own command has", async () => {
    await refreshed();
    const [first] = await asidesOf(STAGING);
    await refreshed();
    const [second, ...more] = await asidesOf(STAGING);
    expect([second === first, more]).toEqual([false, []]);
    // What the undo brings back is no longer aside, and what it sets aside is somebody's own.
    expect((await staging.run(["restore", "--undo"])).code).toBe(EXIT.done);
    const [undone] = await asidesOf(STAGING);
    await refreshed();
    await refreshed();
    const left = await asidesOf(STAGING);
    expect(left).toHaveLength(2);
    expect(left[0]).toBe(undone);
  });

  it("says what is in use, and deletes it the next time", async () => {
    await refreshed();
    const [first = ""] = await asidesOf(STAGING);
    const held = queryIn(postgres, first, "SELECT pg_sleep(60)").catch(() => []);
    await until(
      "a session in it",
      () => query(`SELECT FROM pg_stat_activity WHERE datname = '${first}' AND state = 'active'`, "postgres"),
      found => found.length > 0,
    );
    const said = await staging.run(["refresh"]);
    expect(said.code, said.stderr).toBe(EXIT.done);
    expect(said.stdout + said.stderr).toContain("What earlier refreshes have set aside is still there");
    expect(await asidesOf(STAGING)).toHaveLength(2);
    await query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${first}'`,
      "postgres",
    );
    await held;
    await refreshed();
    expect(await asidesOf(STAGING)).toHaveLength(1);
  });

  it("whose mask fails leaves everything as it was, and stays red until one succeeds", async () => {
    await giveMask(staging, "DELETE FROM users;\nUPDATE users SET nothing = 1;");
    const { code, stderr } = await staging.run(["refresh"]);
    expect(code, stderr).toBe(EXIT.failed);
    await isAsItWas();
    const failed = expect.stringMatching(
      /^The last refresh from prod failed: The mask \.\/mask\.sql .* line 2.* To try it again: npx budgie refresh$/,
    );
    expect(await lineOf(staging)).toMatchObject({
      level: "FAIL",
      problems: [failed],
      next: "npx budgie refresh",
    });
    await takeBackup(staging);
    expect((await lineOf(staging)).level).toBe("FAIL");
    await giveMask(staging, MASK);
    await refreshed();
    expect((await lineOf(staging)).level).toBe("OK");
  });

  it("whose mask is no list of statements is red before it is due", async () => {
    await giveMask(staging, "DELETE FROM users");
    expect(await lineOf(staging)).toMatchObject({
      level: "FAIL",
      problems: [expect.stringContaining("The next refresh will fail: ./mask.sql ends in the midst")],
      next: "npm run pulumi -- up",
    });
    const { code, stdout } = await staging.run(["refresh"]);
    expect(code).toBe(EXIT.usage);
    expect(stdout).not.toContain("Step");
    await isAsItWas();
  });

  it("without a proven backup fails, and says where it has looked", async () => {
    const record = (await readdir(folder)).find(name => name.endsWith(".drill.json")) ?? "";
    await rename(join(folder, record), join(folder, "elsewhere"));
    const { code, stderr } = await staging
      .run(["refresh"])
      .finally(() => rename(join(folder, "elsewhere"), join(folder, record)));
    expect(code, stderr).toBe(EXIT.unusableBackup);
    expect(stderr).toContain("No backup of stack prod in ../prod/backups is proven");
    expect((await lineOf(staging)).problems[0]).toContain(
      "No backup of stack prod in ../prod/backups is proven",
    );
    await isAsItWas();
  });

  it("never comes into a stack of production, nor one into itself, whatever the agent was told", async () => {
    for (const [told, exit] of [
      ["BUDGIE_STACK=prod-eu", EXIT.notConfirmed],
      ["BUDGIE_REFRESH_FROM=staging", EXIT.usage],
    ] as const) {
      const { code, stderr } = await staging.exec(["env", told, "budgie-agent", "refresh"]);
      expect(code, stderr).toBe(exit);
      await isAsItWas();
    }
  });

  it("is not asked for where the settings name no stack", async () => {
    const { code, stderr } = await production.run(["refresh"]);
    expect(code, stderr).toBe(EXIT.usage);
    expect(stderr).toContain("npx budgie refresh --from STACK");
  });

  it("by schedule waits until it is due, and a due time is served when it begins", async () => {
    const nightly = await start(NIGHTLY, "nightly", { BUDGIE_REFRESH_SCHEDULE: "* * * * *" });
    const memory = async () =>
      JSON.parse(await readFile(join(nightly.directory, ".schedule-refresh-nightly.json"), "utf8"));
    try {
      await query("CREATE TABLE own AS SELECT 1 AS id", NIGHTLY);
      await giveMask(nightly, `${MASK} SELECT pg_sleep(3);`);
      const { served: first } = await until(
        "the schedule's memory",
        () => memory().catch(() => ({})),
        seen => "served" in seen,
      );
      expect(await query("SELECT id FROM own", NIGHTLY)).toEqual([{ id: 1 }]);
      await until(
        "the mask at work",
        () => query("SELECT pid FROM pg_stat_activity WHERE application_name = 'budgie mask'", "postgres"),
        found => found.length > 0,
        { withinMs: 150_000 },
      );
      expect((await memory()).served > first).toBe(true);
      // Whoever is connected to what is replaced is cut off.
      await until(
        "the databases swapped",
        () => asidesOf(NIGHTLY),
        found => found.length > 0,
        {
          withinMs: 60_000,
        },
      );
      const [found] = await query("SELECT count(*)::int AS n, min(email) AS email FROM users", NIGHTLY);
      expect(found).toEqual({ n: 50, email: "user10@example.invalid" });
    } finally {
      await nightly.stop();
    }
  });

  it("tells that the folder was removed while the agent ran", async () => {
    await rm(folder, { recursive: true });
    const { code, stderr } = await staging.run(["refresh"]);
    expect(code, stderr).toBe(EXIT.unusableBackup);
    expect(stderr).toContain("The folder ../prod/backups with the backups cannot be read");
    expect(stderr).toContain("npx budgie restart backup");
    await isAsItWas();
  });
});
