import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBackupName, manifestName } from "../../agent/manifest/backup-name.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, type KillMoment, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { SLOW } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

const ROWS_IN_BACKUP = 200_000;
const ROWS_NOW = ROWS_IN_BACKUP + 1;

describe("the agent is killed (-9) while it works", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let recorded: string;

  const query = (text: string) => queryIn(postgres, LIVE, text);
  const rowCount = async () => (await query("SELECT count(*)::int AS n FROM entries"))[0]?.n as number;

  /** Every file under a backup's name is whole; every manifest has its dump. */
  const requireWholeDirectory = async () => {
    const names = await readdir(agent.directory);
    for (const name of names.filter(isBackupName)) {
      const text = await readFile(join(agent.directory, name), "utf8");
      expect(text, name).toContain("-- PostgreSQL database dump complete");
      if (names.includes(manifestName(name) ?? "")) {
        const { code, stdout } = await agent.run(["verify", name]);
        expect(code, stdout).toBe(EXIT.done);
      }
    }
    for (const name of names.filter(n => /^budgie_.*\.json$/.test(n))) {
      expect(names).toContain(name.replace(".json", ".sql"));
    }
  };

  /** The next command may come before PostgreSQL has noticed that the holder of the lock is gone. */
  const again = (...args: string[]) =>
    until(
      "the lock of the killed command free",
      () => agent.run(args),
      ({ code }) => code !== EXIT.busy,
      { withinMs: 20_000 },
    );

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    await makeEntries(postgres, ROWS_IN_BACKUP);
    agent = await startAgent(postgres, { database: LIVE });
    recorded = (await takeBackup(agent)).file;
    await query("INSERT INTO entries VALUES (0, 'acknowledged after the backup')");
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("in the middle of a backup: no partial file under a final name, and the next backup succeeds", async () => {
    const killed = await agent.killed(["backup"], { whenPartialHolds: 1_000_000 });
    expect(killed.code).toBe(KILLED);
    await requireWholeDirectory();
    const next = await again("backup");
    expect(next.code, next.stderr).toBe(EXIT.done);
    expect((await readdir(agent.directory)).filter(name => name.startsWith(".partial"))).toEqual([]);
  });

  /** Moments after which the work may be done before the kill. */
  const mayBeDone = ["Step 3/5", "Step 4/5", "Database restored"];

  const restoreKilled = async (moment: KillMoment, expected: number[]) => {
    if ((await rowCount()) !== ROWS_NOW) {
      await query("INSERT INTO entries VALUES (0, 'acknowledged after the backup')");
    }
    const killed = await agent.killed(["restore", recorded], moment);
    expect(expected, killed.stdout + killed.stderr).toContain(killed.code);
    // It is the old database, with the row acknowledged last, or the restored one. Both are whole.
    expect([ROWS_NOW, ROWS_IN_BACKUP]).toContain(await rowCount());
    await requireWholeDirectory();

    const next = await again("restore", recorded);

    expect(next.code, next.stderr).toBe(EXIT.done);
    expect(await rowCount()).toBe(ROWS_IN_BACKUP);
    const left = await query("SELECT datname FROM pg_database WHERE datname LIKE '%candidate%'");
    expect(left).toEqual([]);
  };

  const MOMENTS = ["Step 3/5", "Database restored", "Backup created", "Step 4/5", "Step 1/5", "Step 2/5"];
  it.each(SLOW ? MOMENTS : MOMENTS.slice(0, 4))(
    "in a restore, at '%s': nothing is lost, and the same command again finishes the job",
    async text => {
      await restoreKilled({ afterText: text }, mayBeDone.includes(text) ? [KILLED, EXIT.done] : [KILLED]);
    },
  );

  it("in a restore, at any moment", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 200, max: 4000 }), afterMs =>
        restoreKilled({ afterMs }, [KILLED, EXIT.done]),
      ),
      { numRuns: SLOW ? 12 : 2, endOnFailure: true },
    );
  });

  it("together with its whole container, in the middle of a load", async () => {
    const running = agent.killed(["restore", recorded], { afterText: "no such text" }).catch(() => null);
    await until(
      "the restore's load",
      () => query(`SELECT application_name FROM pg_stat_activity WHERE datname = '${LIVE}_candidate'`),
      sessions => sessions.length > 0,
      { everyMs: 1 },
    );
    await agent.container.kill();
    await running;
    expect([ROWS_NOW, ROWS_IN_BACKUP]).toContain(await rowCount());
    await agent.container.start();
    await requireWholeDirectory();
    const next = await again("restore", recorded);
    expect(next.code, next.stderr).toBe(EXIT.done);
  });
});
