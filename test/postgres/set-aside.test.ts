import { readdir } from "node:fs/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { DryRun } from "../../agent/restore/dry-run.ts";
import type { SetAside } from "../../agent/server/set-aside.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { makeEntries } from "../support/database/entries.ts";
import { LIVE } from "../support/database/live.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const OLD = `${LIVE}_before_20250101_030000`;
const NEWER = `${LIVE}_before_20250102_030000`;

describe("beside the live database", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let file: string;

  const query = (text: string, database = LIVE) => queryIn(postgres, database, text);
  const databases = async () =>
    (await query("SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template.)$' ORDER BY 1")).map(
      ({ datname }) => datname,
    );
  const oid = async () => (await query(`SELECT oid FROM pg_database WHERE datname = '${LIVE}'`))[0]?.oid;
  const status = async (): Promise<{ problems: string[]; warnings: string[] }> =>
    JSON.parse((await agent.run(["status", "--json"])).stdout);
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
    await query("ALTER SYSTEM SET wal_level = logical; ");
    await query("ALTER SYSTEM SET max_prepared_transactions = 2");
    await postgres.container.restart();
    await postgres.ready();
    await makeEntries(postgres, 50_000);
    await query("CREATE TABLE kept AS SELECT 1 AS id; REVOKE CONNECT ON DATABASE budgie_dev FROM PUBLIC");
    agent = await startAgent(postgres, { database: LIVE });
    file = (await takeBackup(agent)).file;
    await query("DELETE FROM entries WHERE id > 49000; CREATE TABLE later AS SELECT 1 AS id");
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  describe("a dry run of a restore", () => {
    it("says what a restore would replace, table by table, and leaves nothing", async () => {
      const [before, files] = [await oid(), await readdir(agent.directory)];
      const { code, stdout, stderr } = await agent.run(["restore", "latest", "--dry-run"]);
      expect(code, stderr).toBe(EXIT.done);
      expect(stdout).toContain(
        `${LIVE} now: 3 tables, 49002 rows; in ${file}: 2 tables, 50001 rows\n[i]   public.entries: 49000 rows now, 50000 rows in the backup\n[i]   public.later: 1 rows now, not there in the backup\n`,
      );
      expect(stdout).toContain("Nothing was changed");
      expect(await databases()).toEqual([LIVE]);
      expect(await oid()).toBe(before);
      const made = (await readdir(agent.directory)).filter(name => !files.includes(name));
      expect(made).toEqual([".last-beside-test.json"]);
      const json: DryRun = JSON.parse((await agent.run(["restore", file, "--dry-run", "--json"])).stdout);
      expect(json).toMatchObject({ dryRun: true, now: { rows: 49002 }, backup: { tables: 2, rows: 50001 } });
      expect(json.tables.map(({ table }) => table)).toEqual(["public.entries", "public.later"]);
    });

    it("does not wait for a table that somebody has locked", async () => {
      const holder = new pg.Client({ connectionString: postgres.url(LIVE) });
      await holder.connect();
      try {
        await holder.query("BEGIN; LOCK TABLE kept IN ACCESS EXCLUSIVE MODE");
        const { code, stdout } = await agent.run(["restore", file, "--dry-run"]);
        expect(code).toBe(EXIT.done);
        expect(stdout).toContain("public.kept: not counted (it is locked) now, 1 rows in the backup");
      } finally {
        await holder.end();
      }
    });

    it("ends as a restore would: what is in the way, a damaged file, another stack's; what to type keeps the flag", async () => {
      await query("BEGIN; INSERT INTO kept VALUES (2); PREPARE TRANSACTION 'pending'");
      const blocked = await agent.run(["restore", file, "--dry-run"]);
      expect(blocked.code).toBe(EXIT.busy);
      expect(blocked.stderr).toContain("pending");
      await query("ROLLBACK PREPARED 'pending'");
      const cut = await agent.run(
        ["restore", "-", "--dry-run"],
        Buffer.from("-- PostgreSQL database dump\n"),
      );
      expect(cut.code, cut.stderr).toBe(EXIT.unusableBackup);
      const none = await agent.run(["restore", "latest", "--from-stack", "other", "--dry-run"]);
      expect(none.code, none.stderr).not.toBe(EXIT.done);
      if (none.stderr.includes("npx budgie restore")) expect(none.stderr).toContain("Add --dry-run to that");
      for (const flags of [["--undo"], ["--into", "x"]])
        expect((await agent.run(["restore", ...flags, "--dry-run"])).code).toBe(EXIT.usage);
      expect(await databases()).toEqual([LIVE]);
    });

    it("killed while it loads leaves what the next operation clears away", async () => {
      await agent.killed(["restore", file, "--dry-run"], { afterText: "Step 2/5" });
      expect(await databases()).toContain(`${LIVE}_candidate`);
      expect((await again("prune")).code).toBe(EXIT.done);
      expect(await databases()).toEqual([LIVE]);
      expect((await query("SELECT count(*)::int AS n FROM entries"))[0]).toEqual({ n: 49_000 });
    });
  });

  describe("a restore into another database", () => {
    const drop = () => query('DROP DATABASE IF EXISTS "looking-back"', "postgres");
    afterEach(drop);

    it("leaves it whole beside the live one, with its grants, and says how to look at it and drop it", async () => {
      const before = await oid();
      const { code, stdout, stderr } = await agent.run(["restore", file, "--into", "looking-back"]);
      expect(code, stderr).toBe(EXIT.done);
      expect(stdout).toContain("Loaded into looking-back. Tables: 2, rows: 50001");
      expect(stdout).toContain("npx budgie psql -- -d looking-back");
      expect(stdout).toContain(`npx budgie psql -- -c 'DROP DATABASE "looking-back"'`);
      expect(await databases()).toEqual([LIVE, "looking-back"].sort());
      expect(await query("SELECT count(*)::int AS n FROM entries", "looking-back")).toEqual([{ n: 50_000 }]);
      expect(await query("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 49_000 }]);
      expect(await oid()).toBe(before);
      const acl = await query(
        "SELECT count(DISTINCT datacl::text)::int AS n FROM pg_database WHERE datname IN ('budgie_dev', 'looking-back')",
      );
      expect(acl).toEqual([{ n: 1 }]);

      const taken = await agent.run(["restore", file, "--into", "looking-back"]);
      expect(taken.code).toBe(EXIT.usage);
      expect(taken.stderr).toContain("There is a database looking-back already, and it stays as it is");
    });

    it.each([
      'x"; DROP DATABASE budgie_dev; --',
      "it's",
      "template1",
      "postgres",
      LIVE,
      `${LIVE}_candidate`,
      OLD,
      "a".repeat(64),
    ])("refuses the name %s before it does anything", async name => {
      const { code, stderr } = await agent.run(["restore", file, "--into", name]);
      expect(code, stderr).toBe(EXIT.usage);
      expect(await databases()).toEqual([LIVE]);
    });

    it("loads a file that this stack did not write with no more rights than any restore", async () => {
      const dump = Buffer.from((await agent.exec(["pg_dump", "-t", "kept", LIVE])).stdout);
      const { code, stderr } = await agent.run(["restore", "-", "--into", "looking-back"], dump);
      expect(code, stderr).toBe(EXIT.done);
      expect(
        await query("SELECT tableowner FROM pg_tables WHERE tablename = 'kept'", "looking-back"),
      ).toEqual([{ tableowner: postgres.user }]);
      expect(await query("SELECT FROM pg_roles WHERE rolname = 'budgie_loader'")).toEqual([]);
    });

    it.each(["Step 2/5", "Step 4/5"])("killed at %s is cleared away, or there whole", async moment => {
      await agent.killed(["restore", file, "--into", "looking-back"], { afterText: moment });
      expect((await again("prune")).code).toBe(EXIT.done);
      const left = await databases();
      expect(left).not.toContain(`${LIVE}_candidate`);
      expect(left).toContain(LIVE);
      if (left.includes("looking-back"))
        expect(await query("SELECT count(*)::int AS n FROM entries", "looking-back")).toEqual([
          { n: 50_000 },
        ]);
      else expect(left).toEqual([LIVE]);
      await again("backup");
    });
  });

  describe("what restores set aside", () => {
    const setAside = async (...names: string[]) => {
      for (const name of names) await query(`CREATE DATABASE ${name}`, "postgres");
    };
    const others = async () => (await databases()).filter(name => name !== LIVE);

    afterEach(async () => {
      for (const name of await others()) {
        await query(`UPDATE pg_database SET datconnlimit = -1 WHERE datname = '${name}'`, "postgres");
        await query(`DROP DATABASE "${name}" WITH (FORCE)`, "postgres");
      }
    });

    it("is listed with size and age, newest first, and the status warns of it after a month", async () => {
      expect((await agent.run(["drop-previous"])).stdout).toContain("No restore has set a database aside");
      await setAside(OLD, NEWER, `${LIVE}_before_yesterday`);
      const { code, stdout } = await agent.run(["drop-previous"]);
      expect(code).toBe(EXIT.done);
      expect(stdout).toMatch(
        new RegExp(`^${NEWER} +[\\d.]+M +set aside 2025-01-02 03:00 UTC, \\d+ days ago\n${OLD} .*\n`),
      );
      expect(stdout).not.toContain("yesterday");
      expect(stdout).toContain(`npx budgie drop-previous ${OLD}`);
      const list: SetAside[] = JSON.parse((await agent.run(["drop-previous", "--json"])).stdout);
      expect(list.map(({ name }) => name)).toEqual([NEWER, OLD]);
      const { warnings, problems } = await status();
      expect(warnings.join()).toMatch(
        /2 databases that restores set aside more than 30 days ago take [\d.]+M.*npx budgie drop-previous --older-than 30/,
      );
      expect(problems).toEqual([]);
    });

    it("is deleted only with --yes, and only what was named or is older", async () => {
      await setAside(OLD, NEWER);
      const asked = await agent.run(["drop-previous", OLD]);
      expect(asked.code).toBe(EXIT.notConfirmed);
      expect(asked.stderr).toContain(`npx budgie drop-previous ${OLD} --yes`);
      expect(await others()).toEqual([OLD, NEWER]);
      const done = await agent.run(["drop-previous", OLD, "--yes"]);
      expect(done.code, done.stderr).toBe(EXIT.done);
      expect(done.stdout).toMatch(new RegExp(`Deleted: ${OLD} \\(`));
      expect(await others()).toEqual([NEWER]);
      const none = await agent.run(["drop-previous", "--older-than", "99999", "--yes"]);
      expect(none.stdout).toContain("nothing was deleted");
      expect((await agent.run(["drop-previous", "--older-than", "30"])).stderr).toContain(
        "npx budgie drop-previous --older-than 30 --yes",
      );
      expect((await agent.run(["drop-previous", "--older-than", "30", "--yes"])).code).toBe(EXIT.done);
      expect(await others()).toEqual([]);
    });

    it.each([
      LIVE,
      "postgres",
      "template1",
      `${LIVE}_before_yesterday`,
      'x"; DROP DATABASE budgie_dev; --',
      "a".repeat(80),
    ])("is never %s, whatever else is named", async name => {
      await setAside(OLD);
      const { code, stderr } = await agent.run(["drop-previous", "--yes", "--", OLD, name]);
      expect(code, stderr).toBe(EXIT.usage);
      expect(stderr).toContain("nothing was deleted");
      expect(await databases()).toEqual([LIVE, OLD]);
    });

    it("stays, and so does everything else named, while a session, a slot or a prepared transaction is in it", async () => {
      await setAside(OLD, NEWER);
      const refused = async (who: RegExp) => {
        const { code, stderr } = await agent.run(["drop-previous", "--older-than", "1", "--yes"]);
        expect(code, stderr).toBe(EXIT.busy);
        expect(stderr).toMatch(who);
        expect(await others()).toEqual([OLD, NEWER]);
      };
      const reader = new pg.Client({ connectionString: postgres.url(OLD), application_name: "a report" });
      await reader.connect();
      await refused(/a session of budgie_user \(pid \d+, a report\)/);
      await reader.end();
      await query("SELECT pg_create_logical_replication_slot('their_slot', 'test_decoding')", OLD);
      await refused(/the logical replication slot their_slot/);
      await query("SELECT pg_drop_replication_slot('their_slot')", OLD);
      await query("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'theirs'", OLD);
      await refused(/the prepared transaction theirs/);
      await query("ROLLBACK PREPARED 'theirs'", OLD);
      expect((await agent.run(["drop-previous", "--older-than", "1", "--yes"])).code).toBe(EXIT.done);
      expect((await status()).problems).toEqual([]);
    });

    it("is whole or gone when a drop was killed, and the rest goes with the same command", async () => {
      await setAside(OLD, NEWER);
      await agent.killed(["drop-previous", "--older-than", "1", "--yes"], { afterText: "Deleting" });
      const next = await again("drop-previous", "--older-than", "1", "--yes");
      expect(next.code, next.stderr).toBe(EXIT.done);
      expect(await databases()).toEqual([LIVE]);
      await again("backup");
    });

    it("is never brought back by --undo once PostgreSQL has dropped it by half; the next operation clears it away", async () => {
      await setAside(OLD);
      await query(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = '${OLD}'`, "postgres");
      expect((await status()).problems.join()).toContain(`the database ${OLD}`);
      const before = await oid();
      const undone = await agent.run(["restore", "--undo"]);
      expect(undone.code).toBe(EXIT.unusableBackup);
      expect(undone.stderr).toContain("nothing to go back to");
      expect(await databases()).toEqual([LIVE]);
      expect(await oid()).toBe(before);
    });
  });
});
