import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBackupName, manifestName } from "../../agent/backup-name.ts";
import { EXIT } from "../../agent/exit-codes.ts";
import { type KillMoment, startAgent, type TestAgent } from "../support/agent.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const ROWS_IN_BACKUP = 200_000;
/** What the engine says of a command that SIGKILL ended. */
const KILLED = 137;
const ROWS_NOW = ROWS_IN_BACKUP + 1;

describe("the agent is killed (-9) while it works", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let recorded: string;

  const query = async (text: string) => {
    const client = new pg.Client({ connectionString: postgres.url("budgie_dev") });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
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
  const again = async (...args: string[]) => {
    const giveUpAt = Date.now() + 20_000;
    for (;;) {
      const result = await agent.run(args);
      if (result.code !== EXIT.busy || Date.now() > giveUpAt) return result;
    }
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await query(
      `CREATE TABLE entries AS SELECT n AS id, repeat(md5(n::text), 3) AS note FROM generate_series(1, ${ROWS_IN_BACKUP}) n`,
    );
    agent = await startAgent(postgres, { database: "budgie_dev" });
    recorded = JSON.parse((await agent.run(["backup", "--json"])).stdout).file;
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

  /** Moments after which the work takes less time than the kill. */
  const mayBeDone = ["Step 4/5", "Database restored"];

  const restoreKilled = async (moment: KillMoment, expected: number[]) => {
    if ((await rowCount()) !== ROWS_NOW) {
      await query("INSERT INTO entries VALUES (0, 'acknowledged after the backup')");
    }
    const killed = await agent.killed(["restore", recorded], moment);
    expect(expected, killed.stdout + killed.stderr).toContain(killed.code);
    // Either the old database, with the row acknowledged last, or the restored one: whole in both cases.
    expect([ROWS_NOW, ROWS_IN_BACKUP]).toContain(await rowCount());
    await requireWholeDirectory();

    const next = await again("restore", recorded);

    expect(next.code, next.stderr).toBe(EXIT.done);
    expect(await rowCount()).toBe(ROWS_IN_BACKUP);
    const left = await query("SELECT datname FROM pg_database WHERE datname LIKE '%candidate%'");
    expect(left).toEqual([]);
  };

  it.each(["Step 1/5", "Backup created", "Step 2/5", "Step 3/5", "Step 4/5", "Database restored"])(
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
      { numRuns: 6, endOnFailure: true },
    );
  });

  it("together with its whole container, in the middle of a load", async () => {
    const running = agent.killed(["restore", recorded], { afterText: "no such text" }).catch(() => null);
    const giveUpAt = Date.now() + 30_000;
    while (
      (await query("SELECT 1 FROM pg_stat_activity WHERE datname = 'budgie_dev_candidate'")).length === 0
    ) {
      if (Date.now() > giveUpAt) throw new Error("the restore never reached its load");
    }
    await agent.container.kill();
    await running;
    expect([ROWS_NOW, ROWS_IN_BACKUP]).toContain(await rowCount());
    await agent.container.start();
    await requireWholeDirectory();
    const next = await again("restore", recorded);
    expect(next.code, next.stderr).toBe(EXIT.done);
  });
});
