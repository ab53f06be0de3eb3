import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { DrilledAt } from "../../agent/drill/drill-at.ts";
import type { Look } from "../../agent/point-in-time/at-rest.ts";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { startReceivableServer } from "../support/agent/point-in-time.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { startLedgerLoad } from "../support/database/ledger-load.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import type { TestPostgres } from "../support/servers/postgres.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

const DAY_MS = 24 * 3_600_000;

/** Beside what every dump holds: what PostgreSQL writes to the WAL in another way, or not at all. */
const TABLES = `
  CREATE TABLE kept (id serial PRIMARY KEY, words text);
  INSERT INTO kept (words) SELECT md5(g::text) FROM generate_series(1, 5000) g;
  DELETE FROM kept WHERE id % 7 = 0;
  CREATE UNLOGGED TABLE scratch (id serial, words text);
  INSERT INTO scratch (words) VALUES ('not in the WAL');
  CREATE SEQUENCE rounds MINVALUE 1 MAXVALUE 100 CYCLE CACHE 5;
  SELECT nextval('rounds') FROM generate_series(1, 98);
  CREATE SEQUENCE down INCREMENT -3;
  SELECT nextval('down');
  CREATE TABLE parts (day date) PARTITION BY RANGE (day);
  CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO parts VALUES ('2026-11-22');
  SELECT lo_from_bytea(0, 'a large object');
  CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM kept;
`;

let postgres: TestPostgres;
let agent: TestAgent;

const sql = (text: string, values: unknown[] = []) => query(postgres, LIVE, text, values);
const status = async (): Promise<Status> => JSON.parse((await agent.run(["status", "--json"])).stdout);
const statusUntil = (what: string, isSo: (status: Status) => boolean) =>
  until(what, status, isSo, {
    withinMs: 120_000,
    everyMs: 400,
    log: async () => String(await agent.container.logs({ stdout: true, stderr: true, tail: 30 })),
  });
const line = ({ lines }: Status) => lines.find(({ id }) => id === "point-in-time");
const drillAt = async (...more: string[]): Promise<{ code: number; stderr: string; drilled: DrilledAt }> => {
  const { code, stdout, stderr } = await agent.run(["drill", "--at", ...more, "--json"]);
  return { code, stderr, drilled: stdout ? JSON.parse(stdout) : null };
};
const start = async () => {
  agent = await startAgent(postgres, { database: LIVE, environment: { BUDGIE_POINT_IN_TIME: "true" } });
  await statusUntil("the first base backup", ({ pointInTime }) => Boolean(pointInTime?.earliest));
};
const folder = () => join(agent.directory, "point-in-time", "test");
const chain = async () =>
  (await readdir(folder()))
    .filter(name => name.includes("_"))
    .sort()
    .at(-1) ?? "";

describe("proving that a moment can be gone back to", () => {
  beforeAll(async () => {
    postgres = await startReceivableServer();
    await sql(TABLES);
    await start();
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("without a backup that will do, it takes one, and goes back to that very state", async () => {
    const { code, stderr, drilled } = await drillAt();
    expect(code, stderr).toBe(EXIT.done);
    expect(stderr).toContain("Taking a backup to compare with");
    expect(stderr).toContain("Not in the WAL, and not compared: public.scratch");
    expect(drilled).toMatchObject({ outcome: "good", why: null, notChecked: null });
    const seen = await status();
    expect(seen.pointInTime?.drill).toMatchObject({ outcome: "good", backup: drilled.backup });
    expect(line(seen)?.figure).toMatch(/, proven .* ago$/);
    expect((await agent.run(["evidence"])).stdout).toMatch(
      /\| last drill of point in time \| .*: good, compared with budgie_/,
    );
  });

  it("while clients write, the backup has an instant at which nothing was being committed", async () => {
    const load = await startLedgerLoad(postgres);
    const { file } = await takeBackup(agent);
    const { code, stderr, drilled } = await drillAt();
    await load.stop();
    expect(code, stderr).toBe(EXIT.done);
    expect(drilled).toMatchObject({ outcome: "good", backup: file });
    expect(drilled.rows).toBeGreaterThan(4000);
  });

  it("a moment is proven by the newest backup from before it", async () => {
    const first = await takeBackup(agent);
    const moment = new Date().toISOString();
    await sql(
      "UPDATE kept SET words = 'changed'; SELECT nextval('kept_id_seq') FROM generate_series(1, 500)",
    );
    await takeBackup(agent);
    const { code, stderr, drilled } = await drillAt(moment);
    expect(code, stderr).toBe(EXIT.done);
    expect(drilled).toMatchObject({ outcome: "good", backup: first.file, moment: first.startedAt });
  });

  itSlowly.each(["sql.gz", "dump", "dir.tar"])(
    "a backup in the format %s says as well what must be there",
    async format => {
      const { file } = await takeBackup(agent, "--format", format);
      const { code, stderr, drilled } = await drillAt();
      expect(code, stderr).toBe(EXIT.done);
      expect(drilled).toMatchObject({ outcome: "good", backup: file });
    },
  );

  it("after a restore: the database of then is the one that had its name then", async () => {
    const before = await takeBackup(agent);
    await sql("INSERT INTO kept (words) VALUES ('lost in the restore')");
    const restored = await agent.run(["restore", before.file]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    const after = await takeBackup(agent);
    const newest = await drillAt();
    expect(newest.code, newest.stderr).toBe(EXIT.done);
    expect(newest.drilled).toMatchObject({ outcome: "good", backup: after.file });
    const older = await drillAt(before.finishedAt);
    expect(older.code, older.stderr).toBe(EXIT.done);
    expect(older.drilled).toMatchObject({ outcome: "good", backup: before.file });
  });

  it("a second one at the same time ends at once, and says who is at work; a restore is not held up", async () => {
    const first = agent.start(["drill", "--at"]);
    await first.said("Step 1/3");
    const second = await drillAt();
    expect(second.code).toBe(EXIT.busy);
    expect(second.stderr).toContain("drill of point in time since");
    const restored = await agent.run([
      "restore",
      "--at",
      new Date((await status()).pointInTime?.latest ?? "").toISOString(),
    ]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
    expect((await first.result).code).toBe(EXIT.done);
  });

  it("a backup's name beside --at is refused, and nothing that was known has changed", async () => {
    const before = (await status()).pointInTime?.drill;
    const both = await agent.run(["drill", "budgie_20261122_020000.sql", "--at"]);
    expect(both.code).toBe(EXIT.usage);
    expect((await status()).pointInTime?.drill).toEqual(before);
  });

  it("by itself, after a scheduled backup", async () => {
    await agent.container.kill();
    const memory = { served: new Date(Date.now() - 2 * DAY_MS), failedAt: null };
    await rm(join(folder(), "drilled.json"), { force: true });
    await writeFile(join(agent.directory, ".schedule-test.json"), JSON.stringify(memory));
    const scheduled = await startAgent(postgres, {
      database: LIVE,
      directory: agent.directory,
      environment: { BUDGIE_POINT_IN_TIME: "true", BUDGIE_BACKUP_SCHEDULE: "0 2 * * *" },
    });
    const record = () => readFile(join(folder(), "drilled.json"), "utf8").catch(() => null);
    try {
      const found = await until("a drill", record, text => text !== null, {
        withinMs: 240_000,
        everyMs: 500,
      });
      expect(JSON.parse(found ?? "")).toMatchObject({ outcome: "good" });
    } finally {
      await scheduled.container.remove({ force: true, v: true });
      await agent.container.start();
      await statusUntil("the receiver", ({ pointInTime }) => pointInTime?.receiving === true);
    }
  });

  it("a moment out of reach, and one from before every backup, is refused with what helps", async () => {
    const late = await drillAt(new Date(Date.now() + 60_000).toISOString());
    expect(late.code).toBe(EXIT.unusableBackup);
    expect(late.stderr).toContain("cannot be gone back to");
    const vague = await drillAt("2026-11-22 14:03:00");
    expect(vague.code).toBe(EXIT.usage);
    const { pointInTime } = await status();
    const early = await drillAt(pointInTime?.earliest ?? "");
    expect(early.code).toBe(EXIT.unusableBackup);
    expect(early.stderr).toContain("Prove the newest moment instead: npx budgie drill --at");
  });

  itSlowly(
    "a backup during which something was always being committed is a backup all the same, and leads to no verdict",
    async () => {
      const busy = new pg.Client({ connectionString: postgres.url(LIVE) });
      await busy.connect();
      await busy.query("BEGIN");
      await busy.query("INSERT INTO kept (words) VALUES ('at work')");
      const working = busy.query("SELECT pg_sleep(20)");
      const { file } = await takeBackup(agent);
      const manifest = JSON.parse(
        await readFile(join(agent.directory, file.replace(".sql", ".json")), "utf8"),
      );
      expect(manifest.walPosition).toBeNull();
      // One that only waits for its client commits nothing meanwhile.
      await working;
      const { file: another } = await takeBackup(agent);
      await busy.query("COMMIT");
      await busy.end();
      const { code, stderr, drilled } = await drillAt();
      expect(code, stderr).toBe(EXIT.done);
      expect(drilled).toMatchObject({ outcome: "good", backup: another });
    },
  );

  itSlowly.each(["Step 1/3", "Step 2/3", "Step 3/3"])(
    "killed (-9) at %s: the status says so, and the next one tidies up and gives a verdict",
    async step => {
      const killed = await agent.killed(["drill", "--at"], { afterText: step });
      expect(killed.code).toBe(KILLED);
      const seen = await status();
      expect(seen.problems.join()).toMatch(/The last drill of point in time, of .*, has not ended/);
      const { code, stderr } = await drillAt();
      expect(code, stderr).toBe(EXIT.done);
      const left = await agent.exec(["ls", "-A", "/var/lib/postgresql/data"]);
      expect(left.stdout).toBe("");
      expect((await status()).problems).toEqual([]);
    },
  );

  it("where there is no pg_amcheck, the verdict says that pages were not checked", async () => {
    await agent.exec(["sh", "-c", "mv $(command -v pg_amcheck) /tmp/"]);
    const { code, drilled } = await drillAt();
    expect(code).toBe(EXIT.done);
    expect(drilled).toMatchObject({
      outcome: "good",
      notChecked: "the image of the database has no pg_amcheck",
    });
    expect((await status()).warnings.join()).toContain("did not check pages and indexes");
    await agent.exec(["sh", "-c", "mv /tmp/pg_amcheck /usr/local/bin/"]);
  });

  it("a recovered row that is another one than the backup's is told, with its table, and is red until it is proven", async () => {
    const { file } = await takeBackup(agent);
    const path = join(agent.directory, file.replace(".sql", ".json"));
    const right = await readFile(path, "utf8");
    const manifest = JSON.parse(right);
    for (const table of manifest.tables) if (table.name === "public.kept") table.sha256 = "0".repeat(64);
    await writeSigned(path, manifest);
    const { code, drilled } = await drillAt();
    expect(code).toBe(EXIT.unusableBackup);
    expect(drilled).toMatchObject({
      outcome: "bad",
      why: `what was recovered is not what ${file} recorded: public.kept has the right number of rows, but other values`,
    });
    expect((await status()).problems.join()).toContain("failed its drill");
    await writeFile(path, right);
    expect((await drillAt()).code).toBe(EXIT.done);
    // On a busy machine what is received may be behind for a while, which is another problem.
    await expect.poll(async () => (await status()).problems, { timeout: 60_000 }).toEqual([]);
  });
});

describe("files of point in time that are damaged at rest", () => {
  const looked = () => join(folder(), "looked.json");
  const looks = async (): Promise<Record<string, Look>> => JSON.parse(await readFile(looked(), "utf8")).files;
  /** As if the agent had been away for two days: all is to be looked at again. */
  const away = async (damage: () => Promise<void>) => {
    await agent.container.kill();
    const record = JSON.parse(await readFile(looked(), "utf8"));
    for (const look of Object.values<Look>(record.files))
      look.at = new Date(Date.parse(look.at) - 2 * DAY_MS).toISOString();
    await writeFile(looked(), JSON.stringify(record));
    await damage();
    await agent.container.start();
  };
  const flip = async (path: string) => {
    const bytes = await readFile(path);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(path, bytes);
  };
  const only = async (part: "wal" | "base", ending: string) =>
    (await readdir(join(folder(), await chain(), part))).filter(name => name.endsWith(ending)).sort();
  const allLookedAt = () =>
    until(
      "a look at all",
      async () => Object.keys(await looks().catch(() => ({}))),
      names => names.filter(name => name.includes("/wal/")).length >= 3,
      { withinMs: 60_000, everyMs: 300 },
    );
  const told = (what: RegExp) =>
    statusUntil(String(what), ({ problems }) => problems.some(problem => what.test(problem)));

  beforeAll(async () => {
    postgres = await startReceivableServer();
    await sql("CREATE TABLE ledger (id int)");
  });

  afterAll(() => postgres?.stop());

  afterEach(async () => {
    await agent?.stop();
    await sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
  });

  const begin = async () => {
    await start();
    for (let id = 0; id < 4; id++) {
      await sql("INSERT INTO ledger VALUES ($1)", [id]);
      await sql("SELECT pg_switch_wal()");
    }
    await takeBackup(agent);
    await allLookedAt();
    expect((await status()).pointInTime?.damaged).toBe(0);
  };

  it("a flipped bit in a segment: red, named, with what it costs; green again once it is put back", async () => {
    await begin();
    const [, name = ""] = await only("wal", ".gz");
    const path = join(folder(), await chain(), "wal", name);
    const right = await readFile(path);
    await away(() => flip(path));
    const { problems } = await told(new RegExp(`${name} is damaged: its bytes are not those`));
    expect(problems.join("\n")).toMatch(/No moment between .* UTC and .* UTC can be gone back to from here/);
    const { pointInTime } = await status();
    expect(pointInTime?.damaged).toBe(1);
    await writeFile(path, right);
    await statusUntil(
      "no damage",
      ({ pointInTime, problems }) => pointInTime?.damaged === 0 && problems.length === 0,
    );
  });

  it("a missing segment is told within seconds", async () => {
    await begin();
    const [, name = ""] = await only("wal", ".gz");
    await rm(join(folder(), await chain(), "wal", name));
    const { problems } = await told(new RegExp(`${name.slice(0, 24)} is missing`));
    expect(problems.join("\n")).toContain("npx budgie backup");
  });

  it("a flipped bit in the only base backup: nothing can be gone back to, and another one is taken by itself", async () => {
    await begin();
    const [name = ""] = await only("base", ".tar.gz");
    await away(async () => {
      const record = join(folder(), await chain(), "base", name.replace(".tar.gz", ".json"));
      const before = JSON.parse(await readFile(record, "utf8"));
      // Another one is not taken within the hour.
      before.consistentAt = new Date(Date.parse(before.consistentAt) - 2 * 3_600_000).toISOString();
      await writeFile(record, JSON.stringify(before));
      await flip(join(folder(), await chain(), "base", name));
    });
    await told(new RegExp(`${name} is damaged`));
    const { pointInTime } = await statusUntil(
      "a new base backup",
      ({ pointInTime }) => pointInTime?.baseBackups === 1 && pointInTime.earliest !== null,
    );
    expect(await only("base", ".tar.gz")).toHaveLength(2);
    const at = Date.parse(pointInTime?.latest ?? "");
    const restored = await agent.run(["restore", "--at", new Date(at).toISOString()]);
    expect(restored.code, restored.stderr).toBe(EXIT.done);
  });

  itSlowly("a base backup that was removed behind its record's back, and one cut off", async () => {
    await begin();
    const [archive = ""] = await only("base", ".tar.gz");
    const [manifest = ""] = await only("base", ".manifest");
    await away(async () => {
      await rm(join(folder(), await chain(), "base", archive));
      await writeFile(join(folder(), await chain(), "base", manifest), "{");
    });
    const { problems } = await told(new RegExp(`${archive} is missing`));
    const both = await told(new RegExp(`${manifest} is cut off, or too long: it has 1 bytes`));
    expect([...problems, ...both.problems].join()).toContain("can be gone back to from here");
  });

  itSlowly("killed again and again, it goes on where it stopped", async () => {
    await begin();
    const before = await looks();
    await agent.container.kill();
    await agent.container.start();
    await statusUntil("the receiver", ({ pointInTime }) => pointInTime?.receiving === true);
    const after = await looks();
    for (const [name, { at }] of Object.entries(before)) expect(after[name]?.at, name).toBe(at);
  });

  itSlowly("while the clock is behind what was received, nothing goes", async () => {
    await begin();
    const there = await readdir(join(folder(), await chain()), { recursive: true });
    const mark = join(folder(), await chain(), "mark.json");
    await agent.container.kill();
    await writeFile(
      mark,
      JSON.stringify({ ...JSON.parse(await readFile(mark, "utf8")), at: Date.now() + 400 * DAY_MS }),
    );
    await agent.container.start();
    const { code, stdout } = await agent.run(["prune", "--dry-run"]);
    expect(code).toBe(EXIT.done);
    expect(stdout).toContain("the clock is, or was, wrong: left alone");
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
    const left = await readdir(join(folder(), await chain()), { recursive: true });
    expect(there.filter(name => name.includes("wal/") && !left.includes(name))).toEqual([]);
  });
});

describe("pages that are damaged in the live database", () => {
  beforeAll(async () => {
    postgres = await startReceivableServer();
  });

  afterAll(() => postgres?.stop());

  afterEach(async () => {
    await agent?.stop();
    await sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
    await sql("DROP TABLE IF EXISTS numbers");
  });

  /** Overwrites bytes of a relation's file. */
  const overwrite = async (relation: string, at: number, octal: string) => {
    await sql("CHECKPOINT");
    const [found] = await sql("SELECT pg_relation_filepath($1::text::regclass) AS path", [relation]);
    await sql(
      `COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; printf ''${octal}'' | dd of=${found?.path} bs=1 seek=${at} conv=notrunc'`,
    );
  };

  it("an index that lost a key is named by the drill, with the line that repairs it; then the drill is good", async () => {
    await sql("CREATE TABLE numbers (id int); INSERT INTO numbers SELECT generate_series(1, 5000)");
    await sql("CREATE INDEX numbers_id ON numbers (id)");
    // The key of the first row on the first leaf.
    await overwrite("numbers_id", 2 * 8192 - 16 - 8, "\\\\377\\\\377");
    await start();
    const { code, drilled } = await drillAt();
    expect(code).toBe(EXIT.unusableBackup);
    expect(drilled.why).toContain("the index public.numbers_id is damaged");
    const { problems } = await status();
    expect(problems.join()).toContain("npx budgie reindex");
    expect((await agent.run(["reindex"])).code).toBe(EXIT.done);
    await takeBackup(agent);
    const again = await drillAt();
    expect(again.code, again.stderr).toBe(EXIT.done);
  });

  it("a row whose header is garbage is named by the drill, with the table", async () => {
    // An autovacuum that comes later would write the page anew, whole.
    await sql(
      "CREATE TABLE numbers (id int) WITH (autovacuum_enabled = off); INSERT INTO numbers SELECT generate_series(1, 5000)",
    );
    await start();
    await takeBackup(agent);
    await overwrite("numbers", 8192 - 32 + 22, "\\\\377");
    await agent.container.kill();
    await rm(join(folder(), await chain()), { recursive: true });
    await agent.container.start();
    await statusUntil("the first base backup", ({ pointInTime }) => Boolean(pointInTime?.earliest));
    const { code, drilled, stderr } = await drillAt();
    expect(code, stderr).toBe(EXIT.unusableBackup);
    expect(drilled.why).toContain("the table public.numbers is damaged");
    expect(drilled.next).toContain("npx budgie restore latest");
  });
});
