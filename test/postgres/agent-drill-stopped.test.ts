import { readdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manifestName } from "../../agent/manifest/backup-name.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, type KillMoment, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { SLOW } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

const ROWS = 150_000;
const MB = 1024 * 1024;
const PLACE = "/var/lib/postgresql/data/throw-away-drill";

describe("a drill that does not come to its end", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let backup: string;

  const sh = async (script: string) => (await agent.exec(["sh", "-c", script])).stdout;
  /** The servers that run in the agent's container. */
  const servers = () =>
    sh(
      "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null | grep -E '^(postgres|initdb)'",
    );
  const files = () => sh("ls -A /var/lib/postgresql/data");

  const outcomes = async () => (await readdir(agent.directory)).filter(name => name.endsWith(".drill.json"));
  const liveRows = async () => (await query(postgres, LIVE, "SELECT count(*)::int AS n FROM entries"))[0]?.n;

  /** The live database is untouched and there is no verdict on the backup. The next drill tidies up and gives one. */
  const requireUnknownThenGood = async () => {
    expect(await liveRows()).toBe(ROWS);
    expect(await outcomes()).toEqual([]);
    const next = await agent.run(["drill", backup]);
    expect(next.code, next.stderr).toBe(EXIT.done);
    expect(await outcomes()).toHaveLength(1);
    expect(await servers()).toBe("");
    expect(await files()).toBe("");
    await sh("rm /backups/*.drill.json");
  };

  const begin = async (options: { throwawayBytes?: number } = {}) => {
    agent = await startAgent(postgres, { database: LIVE, ...options });
    backup = (await takeBackup(agent)).file;
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    await makeEntries(postgres, ROWS, 10);
  });

  afterAll(() => postgres?.stop());

  describe("because it is killed (-9)", () => {
    beforeAll(() => begin());
    afterAll(() => agent?.stop());

    /** The last step is too short for a kill from outside to meet it: "at any moment" is for that. */
    it.each([
      ["at 'Step 1/4'", { afterText: "Step 1/4" }],
      ["at 'Step 2/4'", { afterText: "Step 2/4" }],
      ["once its server answers", { when: `grep -q ready ${PLACE}/data/postmaster.pid 2>/dev/null` }],
      ["at 'Step 3/4'", { afterText: "Step 3/4" }],
    ] satisfies [string, KillMoment][])(
      "%s: the backup is neither good nor bad, and nothing is left after the next drill",
      async (_, moment) => {
        const killed = await agent.killed(["drill", backup], moment);
        expect(killed.code, killed.stdout).toBe(KILLED);
        if ("when" in moment) expect(await servers()).toContain(`postgres -D ${PLACE}/data`);
        expect((await agent.run(["status"])).stdout).toMatch(/The last drill, of .* has not ended/);
        await requireUnknownThenGood();
        expect((await agent.run(["status"])).stdout).not.toContain("The last drill");
      },
    );

    it("and its container starts anew: the agent tidies up before there is a next drill", async () => {
      await agent.killed(["drill", backup], { afterText: "Step 3/4" });
      expect(await files()).not.toBe("");
      await agent.container.restart();
      await until("no file of a drill", files, left => left === "");
      await requireUnknownThenGood();
    });

    it("at any moment", async () => {
      const killedAt = async (moment: KillMoment) => {
        const killed = await agent.killed(["drill", backup], moment);
        expect([KILLED, EXIT.done], killed.stdout + killed.stderr).toContain(killed.code);
        // It may have reached its verdict by then. That is good, whether it was printed or not.
        for (const name of await outcomes()) {
          expect(JSON.parse(await readFile(join(agent.directory, name), "utf8")).outcome).toBe("good");
          await unlink(join(agent.directory, name));
        }
        await requireUnknownThenGood();
      };
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 300, max: 4000 }), afterMs => killedAt({ afterMs })),
        { numRuns: SLOW ? 4 : 2, endOnFailure: true },
      );
    });
  });

  describe("because of what is around it", () => {
    beforeAll(() => begin());
    afterAll(() => agent?.stop());

    it("Ctrl-C: it tidies up itself", async () => {
      const running = agent.run(["drill", backup]);
      await sh(`until [ -S ${PLACE}/.s.PGSQL.5432 ]; do sleep 0.01; done
        for p in /proc/[0-9]*; do if tr '\\0' ' ' < $p/cmdline | grep -q '[a]gent.cjs drill'; then kill -INT \${p#/proc/}; fi; done`);
      const { code, stderr } = await running;
      expect(code).toBe(EXIT.interrupted);
      expect(stderr).toContain("Stopped by SIGINT, before it was done");
      expect(await servers()).toBe("");
      expect(await files()).toBe("");
      await requireUnknownThenGood();
    });

    it("its server is killed (-9): no verdict on the backup", async () => {
      const running = agent.run(["drill", backup]);
      await sh(`until grep -q ready ${PLACE}/data/postmaster.pid 2>/dev/null; do sleep 0.01; done
        kill -9 $(head -n 1 ${PLACE}/data/postmaster.pid)`);
      const { code, stderr } = await running;
      expect(code, stderr).toBe(EXIT.failed);
      expect(stderr).toContain("The throw-away server ended by itself");
      await requireUnknownThenGood();
    });

    it("the database does not answer, so that nobody knows what it is like", async () => {
      await postgres.container.pause();
      const { code, stderr } = await agent.run(["drill", backup]);
      await postgres.container.unpause();
      expect(code).toBe(EXIT.databaseUnreachable);
      expect(stderr).toContain("cannot be reached");
      await requireUnknownThenGood();
    });
  });

  describe("because there is too little room", () => {
    beforeAll(() => begin({ throwawayBytes: 480 * MB }));
    afterAll(() => agent?.stop());

    it("said before it starts", async () => {
      const path = join(agent.directory, manifestName(backup) ?? "");
      const text = await readFile(path, "utf8");
      await writeSigned(path, { ...JSON.parse(text), databaseBytes: 200 * MB });
      const { code, stdout, stderr } = await agent.run(["drill", backup]);
      await writeFile(path, text);
      expect(code, stdout).toBe(EXIT.noSpace);
      expect(stderr).toMatch(/Not enough space in the backup agent's container: 560 MB are needed/);
      expect((await agent.run(["status"])).stdout).toContain("The last drill failed: Not enough space");
      await requireUnknownThenGood();
    });

    it("the disk fills up meanwhile: stopped while the database still has room", async () => {
      const running = agent.run(["drill", backup]);
      // Leaves a little less than must stay free. How much the server has used by now depends on its progress.
      await sh(`until [ -S ${PLACE}/.s.PGSQL.5432 ]; do sleep 0.01; done
        free=$(df -Pm /var/lib/postgresql/data | awk 'END { print $4 }')
        dd if=/dev/zero of=/var/lib/postgresql/data/by-another bs=1M count=$((free - 60))`);
      const { code, stdout, stderr } = await running;
      expect(await files()).toBe("by-another\n");
      await sh("rm /var/lib/postgresql/data/by-another");
      expect(code, stdout).toBe(EXIT.noSpace);
      expect(stderr).toMatch(/Stopped because only \d+ MB are left .* stay free for the database/);
      expect(await servers()).toBe("");
      await requireUnknownThenGood();
    });
  });
});
