import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LastRun } from "../../agent/catalogue/last-run.ts";
import type { Manifest } from "../../agent/manifest/manifest.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { type Patience, until } from "../support/until.ts";

/** There is a run each minute. If one does not come, the agent's log says why. */
const patienceWith = (agent: TestAgent): Patience => ({
  withinMs: 90_000,
  everyMs: 500,
  log: async () => String(await agent.container.logs({ stdout: true, stderr: true, follow: false })),
});
const some = (found: readonly unknown[]) => found.length > 0;

async function manifestsIn(directory: string): Promise<Manifest[]> {
  const names = (await readdir(directory)).filter(name => /^budgie_\d{8}_\d{6}\.json$/.test(name)).sort();
  return Promise.all(names.map(async name => JSON.parse(await readFile(join(directory, name), "utf8"))));
}

describe("backups that go and stay", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  const keptOf = async (...args: string[]) => {
    const { code, stdout, stderr } = await agent.run(["prune", "--json", ...args]);
    expect(code, stderr).toBe(EXIT.done);
    const verdicts: { name: string; keep: boolean; reason: string }[] = JSON.parse(stdout);
    return new Map(verdicts.map(({ name, keep, reason }) => [name, { keep, reason }]));
  };
  const here = async () => (await readdir(agent.directory)).filter(name => /\d\.sql$/.test(name)).sort();

  /** The backup as if it had been taken at that time. */
  const copyAs = async (source: Manifest, at: string) => {
    const stem = `budgie_${at.replaceAll("-", "")}_020000`;
    const time = `${at}T02:00:00.000Z`;
    const manifest = { ...source, file: `${stem}.sql`, startedAt: time, finishedAt: time };
    for (const ending of ["sql", "globals.sql"]) {
      const from = source.file.replace("sql", ending);
      await copyFile(join(agent.directory, from), join(agent.directory, `${stem}.${ending}`));
    }
    await writeSigned(join(agent.directory, `${stem}.json`), manifest);
    return `${stem}.sql`;
  };

  beforeAll(async () => {
    postgres = await startPostgres();
    agent = await startAgent(postgres, {
      database: "postgres",
      environment: {
        BUDGIE_KEEP_DAYS: "1",
        BUDGIE_KEEP_AT_LEAST: "1",
        BUDGIE_KEEP_WEEKS: "0",
        BUDGIE_KEEP_MONTHS: "0",
      },
    });
    const { code, stderr } = await agent.run(["backup"]);
    expect(code, stderr).toBe(EXIT.done);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("removes what no rule keeps with its files, and leaves alone what is pinned or not its own", async () => {
    const [newest] = await manifestsIn(agent.directory);
    if (!newest) throw new Error("there is no backup");
    const [old, pinned] = [await copyAs(newest, "2020-03-01"), await copyAs(newest, "2020-03-02")];
    const stranger = "budgie_20200303_020000.sql";
    await writeFile(join(agent.directory, stranger), "of somebody");
    const said = await agent.run(["pin", pinned]);
    expect(said.stdout).toBe(`[✓] ${pinned} stays until you unpin it\n`);

    const before = await here();
    const foreseen = await keptOf("--dry-run");
    expect(await here()).toEqual(before);
    expect(foreseen.get(old)).toEqual({ keep: false, reason: "not of the newest day" });
    expect(foreseen.get(pinned)).toEqual({ keep: true, reason: "pinned" });
    expect(foreseen.get(stranger)?.keep).toBe(true);

    expect(await keptOf()).toEqual(foreseen);
    expect(await here()).toEqual([pinned, stranger, newest.file].sort());
    expect((await readdir(agent.directory)).filter(name => name.includes("20200301"))).toEqual([]);

    expect((await agent.run(["unpin", pinned])).code).toBe(EXIT.done);
    expect((await keptOf()).get(pinned)?.keep).toBe(false);
    expect(await here()).toEqual([stranger, newest.file].sort());
  });

  it("refuses to pin what is not there, and until a day that is none or over", async () => {
    expect((await agent.run(["pin", "budgie_20190101_000000.sql"])).code).toBe(EXIT.unusableBackup);
    const [newest = ""] = (await here()).reverse();
    for (const day of ["2027-02-30", "soon", "2020-01-01"])
      expect((await agent.run(["pin", newest, "--until", day])).code, day).toBe(EXIT.usage);
  });
});

describe("backups that are taken by themselves", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  const query = (text: string, database = "postgres") => queryIn(postgres, database, text);
  const allowConnections = (allowed: boolean) =>
    query(`ALTER DATABASE budgie_dev WITH ALLOW_CONNECTIONS ${allowed}`);
  const lastRun = async (): Promise<LastRun> =>
    JSON.parse(await readFile(join(agent.directory, ".last-backup-test.json"), "utf8"));

  beforeAll(async () => {
    postgres = await startPostgres();
    await query("CREATE DATABASE budgie_dev");
    await query("CREATE TABLE transactions (id int)", "budgie_dev");
    agent = await startAgent(postgres, {
      database: "budgie_dev",
      environment: { BUDGIE_BACKUP_SCHEDULE: "* * * * *" },
    });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("takes the first backup and proves it, goes on when the database was away, and ends when told to", async () => {
    // The schedule may have started before the test's passfile was there; the next minute then has the backup.
    const patience = patienceWith(agent);
    const taken = () => manifestsIn(agent.directory);
    const [first] = await until("the first backup", taken, some, patience);
    expect(first?.reason).toBe("scheduled");
    const records = async () => (await readdir(agent.directory)).filter(name => name.endsWith(".drill.json"));
    await until("its proof", records, some, patience);
    const { stdout } = await agent.run(["status", "--json"]);
    expect(JSON.parse(stdout).next.at).toMatch(/^\d{4}-.*:00\.000Z$/);

    await allowConnections(false);
    await until("a run that fails", lastRun, ({ outcome }) => outcome === "failed", patience);
    await allowConnections(true);
    const before = (await taken()).length;
    await until("another backup", taken, backups => backups.length > before, patience);

    await agent.container.stop({ t: 20 });
    expect((await agent.container.inspect()).State.ExitCode).toBe(EXIT.done);
    expect((await readdir(agent.directory)).filter(name => name.startsWith(".partial-"))).toEqual([]);
  }, 400_000);

  it("ends a backup that is being written when the agent is told to stop, and takes it at the next start", async () => {
    const other = await startPostgres();
    const holder = new pg.Client({ connectionString: other.url() });
    await holder.connect();
    await holder.query("CREATE TABLE transactions (id int)");
    await holder.query("BEGIN; LOCK TABLE transactions");
    const stopping = await startAgent(other, {
      database: "postgres",
      environment: { BUDGIE_BACKUP_SCHEDULE: "* * * * *" },
    });
    const partials = async () =>
      (await readdir(stopping.directory)).filter(name => name.startsWith(".partial-test-budgie_"));
    try {
      const patience = patienceWith(stopping);
      await until("a backup that is being written", partials, some, patience);
      await stopping.container.stop({ t: 20 });
      expect((await stopping.container.inspect()).State.ExitCode).toBe(EXIT.done);
      expect(await partials()).toEqual([]);
      expect(await manifestsIn(stopping.directory)).toEqual([]);
      await holder.end();
      await stopping.container.start();
      await until("the backup", () => manifestsIn(stopping.directory), some, patience);
    } finally {
      await holder.end().catch(() => undefined);
      await stopping.stop();
      await other.stop();
    }
  }, 400_000);
});
