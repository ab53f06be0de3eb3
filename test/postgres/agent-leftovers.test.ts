import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { KILLED, startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const HIDDEN_LEFTOVER = /^\.(incoming|partial|pending)-/;

describe("what a killed operation leaves", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let recorded: string;

  const query = (text: string) => queryIn(postgres, LIVE, text);
  const names = () => readdir(agent.directory);
  const hidden = async () => (await names()).filter(name => HIDDEN_LEFTOVER.test(name));
  const candidates = async () =>
    (await query("SELECT datname FROM pg_database WHERE datname LIKE '%candidate%'")).map(
      ({ datname }) => datname,
    );
  const status = async (): Promise<Status> => JSON.parse((await agent.run(["status", "--json"])).stdout);
  const processes = async () => (await agent.exec(["ps", "-o", "args"])).stdout;
  const throwaways = async () => (await agent.exec(["ls", "/var/lib/postgresql/data"])).stdout.trim();

  const passwords = async () => (await agent.exec(["sh", "-c", "cat /dev/shm/*/passfile"])).stdout;

  /** The next command may come before PostgreSQL has noticed that the holder of the lock is gone. */
  const again = (...args: string[]) =>
    until(
      "the lock of the killed command free",
      () => agent.run(args),
      ({ code }) => code !== EXIT.busy,
      { withinMs: 20_000 },
    );
  /** A status that comes while the killed command's lock is still held says nothing of what it left. */
  const told = (what: string | RegExp) =>
    until(
      `a status that tells of ${what}`,
      async () => (await status()).problems.join("\n"),
      problems => new RegExp(what).test(problems),
      { withinMs: 20_000, everyMs: 200 },
    );

  const killRestore = async () => {
    const content = await readFile(join(agent.directory, recorded));
    await agent.killed(["restore", "-", "--trust-file"], { afterText: "Step 2/5" }, content);
    expect(await hidden()).toContainEqual(expect.stringMatching(/^\.incoming-test-\d+$/));
    expect(await candidates()).toEqual([`${LIVE}_candidate`]);
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    await makeEntries(postgres, 200_000);
    agent = await startAgent(postgres, { database: LIVE });
    recorded = (await takeBackup(agent)).file;
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  describe("a restore", () => {
    it("is named by the status, and the next backup clears it away and ends the red", async () => {
      await killRestore();
      const problems = await told("A killed operation has left this");
      expect(problems).toContain(`the database ${LIVE}_candidate`);
      expect(problems).toMatch(/\.incoming-test-\d+/);
      expect(problems).toContain("The next operation clears it away: npx budgie backup");
      expect(problems).toContain("The last restore, of ");

      const next = await again("backup");

      expect(next.code, next.stderr).toBe(EXIT.done);
      expect(await candidates()).toEqual([]);
      expect(await hidden()).toEqual([]);
      expect((await status()).problems).toEqual([]);
    });

    it.each(["prune", "restore --undo"])("is cleared away by %s too", async command => {
      await killRestore();
      await again(...command.split(" "));
      expect(await candidates()).toEqual([]);
      expect(await hidden()).toEqual([]);
      await again("backup");
    });

    it("is cleared away when the agent starts, and what is another stack's stays", async () => {
      await killRestore();
      const other = join(agent.directory, ".incoming-test-two-17");
      await writeFile(other, "theirs");
      await agent.container.kill();
      await agent.container.start();
      await until("the candidate gone", candidates, found => found.length === 0, { withinMs: 60_000 });
      await until("the files gone", hidden, found => found.length === 1, { withinMs: 10_000 });
      expect(await hidden()).toEqual([".incoming-test-two-17"]);
      await rm(other);
      await again("backup");
    });
  });

  it("of a drill, server and folder, is named and cleared away", async () => {
    await agent.killed(["drill", recorded], { afterText: "Step 3/4" });
    expect(await processes()).toContain("throw-away-drill");
    expect((await status()).problems.join()).toContain("a throw-away server (drill)");

    expect((await again("prune")).code).toBe(EXIT.done);

    expect(await processes()).not.toContain("throw-away-drill");
    expect(await throwaways()).toBe("");
    expect((await agent.run(["drill", recorded])).code).toBe(EXIT.done);
    expect((await status()).problems).toEqual([]);
  });

  it("of a backup, a pg_dump that waits for a lock, is named and ended, and its password goes", async () => {
    const holder = new pg.Client({ connectionString: postgres.url(LIVE) });
    await holder.connect();
    try {
      await holder.query("CREATE TABLE held (id int)");
      await holder.query("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE");
      const waiting = until(
        "a dump that waits",
        () =>
          query(
            "SELECT FROM pg_stat_activity WHERE application_name = 'budgie dump' AND wait_event_type = 'Lock'",
          ),
        found => found.length > 0,
        { withinMs: 60_000 },
      );
      const killed = await agent.killed(["backup"], { after: waiting });
      expect(killed.code).toBe(KILLED);
      expect(await processes()).toMatch(/pg_dump /);
      expect(await told("pg_dump, which still runs")).toContain("A killed operation has left this");
      expect(await told("credentials that were in use")).toContain("pg_dump, which still runs");
      expect(await passwords()).not.toBe("");
      expect((await again("prune")).code).toBe(EXIT.done);
      expect(await processes()).not.toMatch(/pg_dump /);
      expect(await passwords()).toBe("");
    } finally {
      await holder.end();
    }
    expect((await again("backup")).code).toBe(EXIT.done);
  });

  it("of a backup and a prune is kept by kind: one that goes well does not hide that the other went wrong", async () => {
    await writeFile(
      join(agent.directory, ".last-prune-test.json"),
      JSON.stringify({
        operation: "prune",
        startedAt: "2026-01-01T00:00:00.000Z",
        finishedAt: "2026-01-01T00:00:01.000Z",
        outcome: "failed",
        message: "a file could not be removed",
      }),
    );
    await takeBackup(agent);
    expect((await status()).problems).toEqual(["The last prune failed: a file could not be removed"]);
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
    expect((await status()).problems).toEqual([]);
  });

  describe("a dump without its manifest", () => {
    const pendingOf = (file: string) =>
      join(agent.directory, `.pending-test-${file.replace(".sql", ".json")}`);
    const at = (name: string) => join(agent.directory, name);
    let file: string;
    let manifest: string;
    let globals: string;
    let text: string;

    /** As a kill between the two names leaves it. */
    const takeUnnamed = async () => {
      ({ file } = await takeBackup(agent));
      manifest = file.replace(".sql", ".json");
      globals = file.replace(".sql", ".globals.sql");
      text = await readFile(at(manifest), "utf8");
      await rename(at(manifest), pendingOf(file));
    };

    afterEach(async () => {
      for (const name of [file, manifest, globals]) await rm(at(name), { force: true });
      await agent.run(["accept-missing-backups"]);
    });

    it("that was killed in between gets it from the next operation, and counts", async () => {
      await takeUnnamed();
      expect((await status()).problems.join()).toContain(`.pending-test-${manifest}`);

      const { code, stdout } = await agent.run(["prune"]);

      expect(code).toBe(EXIT.done);
      expect(stdout).toContain(`${file}, whose backup was killed, is whole; its manifest is written now`);
      expect(await readFile(at(manifest), "utf8")).toBe(text);
      expect(await hidden()).toEqual([]);
      expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
      expect((await status()).problems).toEqual([]);
    });

    it("gets it with its roles, where these had no name yet", async () => {
      await takeUnnamed();
      await rename(at(globals), at(`.partial-test-${globals}`));
      expect((await agent.run(["prune"])).code).toBe(EXIT.done);
      expect(await readFile(at(manifest), "utf8")).toBe(text);
      expect(await names()).toContain(globals);
      expect(await hidden()).toEqual([]);
    });

    it("gets one that speaks of no roles, where these are lost", async () => {
      await takeUnnamed();
      await rm(at(globals));
      expect((await agent.run(["prune"])).code).toBe(EXIT.done);
      expect(JSON.parse(await readFile(at(manifest), "utf8")).globals).toBeNull();
      expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
      expect((await status()).problems).toEqual([]);
    });

    it("gets none when its bytes are others: the status says what to type", async () => {
      await takeUnnamed();
      await writeFile(at(file), (await readFile(at(file), "utf8")).replace("entries", "entrjes"));
      expect((await agent.run(["prune"])).code).toBe(EXIT.done);
      expect(await names()).not.toContain(manifest);
      expect(await hidden()).toEqual([]);
      expect((await status()).problems.join()).toContain(`${file} (no manifest)`);
    });

    it("that never was this stack's gets none: the status says what to type", async () => {
      await takeUnnamed();
      await rm(pendingOf(file));
      await agent.run(["prune"]);
      expect(await names()).not.toContain(manifest);
      const problems = (await status()).problems.join();
      expect(problems).toContain(`${file} (no manifest)`);
      expect(problems).toContain(`npx budgie restore ${file}`);
    });

    it("is none when the manifest was hidden, and the dump had no name yet", async () => {
      await takeUnnamed();
      await rename(at(file), at(`.partial-test-${file}`));
      expect((await agent.run(["prune"])).code).toBe(EXIT.done);
      expect(await names()).not.toContain(manifest);
      expect(await hidden()).toEqual([]);
    });

    it("is not believed from a forged hidden manifest", async () => {
      await takeUnnamed();
      await writeFile(pendingOf(file), text.replace(/"reason": "\w+"/, '"reason": "scheduled"'));
      await agent.run(["prune"]);
      expect(await names()).not.toContain(manifest);
    });

    it("killed for real at that very moment: it is finished, or nothing of it is left", async () => {
      const before = await names();
      const killed = await agent.killed(["backup"], { whenThere: ".pending-*" });
      expect([KILLED, EXIT.done]).toContain(killed.code);
      expect((await again("prune")).code).toBe(EXIT.done);
      expect(await hidden()).toEqual([]);
      const made = (await names()).filter(name => name.startsWith("budgie_") && !before.includes(name));
      file = made.find(name => name.endsWith(".sql") && !name.includes("globals")) ?? "budgie_none.sql";
      [manifest, globals] = [file.replace(".sql", ".json"), file.replace(".sql", ".globals.sql")];
      if (made.length > 0) expect(made.sort()).toEqual([file, manifest, globals].sort());
      if (made.length > 0) expect((await agent.run(["verify", file])).code).toBe(EXIT.done);
    });
  });
});
