import { copyFile, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const FUTURE = "budgie_20301126_020000.sql";

describe("`restore latest` never goes back in time unnoticed", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let older: string;
  let newer: string;

  const sql = (text: string) => query(postgres, "budgie_dev", text);
  const entries = async () => (await sql("SELECT count(*)::int AS n FROM entries"))[0]?.n;
  const local = (name: string) => join(agent.directory, name);
  const backup = async () => (await takeBackup(agent)).file;
  /** Leaves what a drill leaves that found the backup bad. */
  const callBad = async (name: string) => {
    const { contentSha256 } = JSON.parse(await readFile(local(name.replace(".sql", ".json")), "utf8"));
    const record = { at: new Date().toISOString(), outcome: "bad", why: "its rows differ", contentSha256 };
    await writeFile(local(name.replace(".sql", ".drill.json")), JSON.stringify(record));
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await sql("CREATE TABLE entries AS SELECT generate_series(1, 10) AS id");
    agent = await startAgent(postgres, { database: "budgie_dev" });
    older = await backup();
    await sql("INSERT INTO entries SELECT generate_series(11, 20)");
    newer = await backup();
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  afterEach(async () => {
    for (const name of [newer.replace(".sql", ".drill.json"), FUTURE, FUTURE.replace(".sql", ".json")])
      await rm(local(name), { force: true });
  });

  it("says what it took, and how old that is", async () => {
    const { code, stdout, stderr } = await agent.run(["restore", newer]);
    expect(code, stderr).toBe(EXIT.done);
    // The safety backup of that restore is the newest now, and has the same rows.
    const latest = await agent.run(["restore", "latest"]);
    expect(latest.code, latest.stderr).toBe(EXIT.done);
    expect(latest.stdout).toMatch(
      /^\[i\] latest is budgie_\d{8}_\d{6}\.sql, of less than a minute ago \(20.* UTC\)\. Tables: 1, rows: 20\n/,
    );
    expect(stdout).not.toContain("latest is");
    expect(await entries()).toBe(20);
    await agent.exec([
      "sh",
      "-c",
      `cd /backups && ls budgie_* | grep -v -e ${older.slice(0, -4)} -e ${newer.slice(0, -4)} | xargs rm`,
    ]);
  });

  it("takes no older one after a drill that said bad, until that is decided", async () => {
    await callBad(newer);
    const { code, stdout, stderr } = await agent.run(["restore", "latest"]);
    expect(code).toBe(EXIT.notConfirmed);
    expect(stderr).toContain(`The newest backup that counts, ${older}, is of`);
    expect(stderr).toContain(`${newer} (failed its drill of`);
    expect(stderr).toContain("npx budgie restore latest --allow-older");
    expect(stdout).toBe("");
    expect(await entries(), "nothing was touched").toBe(20);
    expect(
      JSON.parse((await agent.run(["status", "--json"])).stdout).lastRun.outcome,
      "a question is no failed restore",
    ).toBe("done");

    const chosen = JSON.parse((await agent.run(["choose"])).stdout);
    expect(chosen).toMatchObject({ source: older, rows: 10, decision: { message: expect.any(String) } });

    const decided = await agent.run(["restore", "latest", "--allow-older"]);
    expect(decided.code, decided.stderr).toBe(EXIT.done);
    expect(decided.stdout).toContain(`latest is ${older}`);
    expect(decided.stdout).toContain(`Passed over, although it is newer: ${newer} (failed its drill of`);
    expect(await entries()).toBe(10);
    expect((await agent.run(["restore", newer])).code).toBe(EXIT.done);
  });

  it("takes nothing that is from the future, be it whole and with a manifest", async () => {
    await copyFile(local(newer), local(FUTURE));
    const manifest = JSON.parse(await readFile(local(newer.replace(".sql", ".json")), "utf8"));
    const [startedAt, finishedAt] = ["2030-11-26T02:00:00.000Z", "2030-11-26T02:00:01.000Z"];
    await writeFile(
      local(FUTURE.replace(".sql", ".json")),
      JSON.stringify({ ...manifest, file: FUTURE, startedAt, finishedAt }),
    );
    const { code, stderr } = await agent.run(["restore", "latest"]);
    expect(code).toBe(EXIT.notConfirmed);
    expect(stderr).toContain(
      `${FUTURE} (from the future: it says that it was taken at 2030-11-26 02:00 UTC)`,
    );
    expect((await agent.run(["restore", "latest", "--allow-older"])).stdout).not.toContain(
      `latest is ${FUTURE}`,
    );
    expect((await agent.run(["restore", FUTURE])).code, "named, it is what was asked for").toBe(EXIT.done);
  });
});

describe("on a new server, to which a backup was brought", () => {
  it("the new database's own empty backup is not taken for the latest", async () => {
    const [old, fresh] = await Promise.all([
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
      startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
    ]);
    await query(old, "budgie_dev", "CREATE TABLE entries AS SELECT generate_series(1, 500) AS id");
    const [from, dev, prod] = await Promise.all([
      startAgent(old, { database: "budgie_dev", stack: "dev" }),
      startAgent(fresh, { database: "budgie_dev", stack: "dev" }),
      startAgent(fresh, { database: "budgie_dev", stack: "prod" }),
    ]);
    const rows = async () =>
      (await query(fresh, "budgie_dev", "SELECT count(*)::int AS n FROM entries"))[0]?.n;
    try {
      const { file } = await takeBackup(from);
      for (const agent of [dev, prod]) {
        // As an API does at its first start.
        await query(fresh, "budgie_dev", "CREATE TABLE IF NOT EXISTS migrations AS SELECT 1 AS id");
        const own = (await takeBackup(agent)).file;
        const stem = file.replace(".sql", "");
        for (const ending of [".sql", ".json"])
          await copyFile(join(from.directory, stem + ending), join(agent.directory, stem + ending));

        const { code, stderr } = await agent.run(["restore", "latest"]);

        expect(code).toBe(EXIT.notConfirmed);
        const [flag, whose] = agent === dev ? ["", "another server"] : [" --from-stack dev", "stack dev"];
        expect(stderr).toMatch(
          new RegExp(
            `^\\[✗\\] ${file}, of ${whose} and of .* ago, holds 500 rows; the newest of this database, ${own}, holds 1\\.`,
          ),
        );
        expect(stderr).toContain(`To restore the fuller one: npx budgie restore ${file}${flag}.`);
        const args = agent === dev ? [file] : ["latest", "--from-stack", "dev"];
        const restored = await agent.run(["restore", ...args]);
        expect(restored.code, restored.stderr).toBe(EXIT.done);
        expect(await rows()).toBe(500);
        await query(fresh, "budgie_dev", "DROP TABLE entries");
      }
    } finally {
      await Promise.all([from, dev, prod].map(agent => agent.stop()));
      await Promise.all([old.stop(), fresh.stop()]);
    }
  });
});

it("`-` is called by the path that the operator typed", async () => {
  const postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
  const agent = await startAgent(postgres, { database: "budgie_dev" });
  try {
    await query(postgres, "budgie_dev", "CREATE TABLE entries AS SELECT 1 AS id");
    const { file } = await takeBackup(agent);
    const dump = await readFile(join(agent.directory, file));
    await rename(join(agent.directory, file), join(agent.directory, "moved"));
    const shown = ["--shown", "~/old backups/ledger.sql"];

    const cut = await agent.run(["restore", "-", ...shown], dump.subarray(0, dump.length / 2));
    expect(cut.code).toBe(EXIT.unusableBackup);
    expect(cut.stderr).toContain("~/old backups/ledger.sql is cut off");
    const whole = await agent.run(["restore", "-", ...shown], dump);
    expect(whole.code, whole.stderr).toBe(EXIT.done);
    expect(whole.stdout).toContain("loading ~/old backups/ledger.sql into a throw-away server first");
    for (const { stdout, stderr } of [cut, whole]) expect(stdout + stderr).not.toContain("standard input");
    expect((await agent.run(["restore", "-"], Buffer.alloc(0))).stderr).toContain("standard input is empty");
  } finally {
    await agent.stop();
    await postgres.stop();
  }
});
