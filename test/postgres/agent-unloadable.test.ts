import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isBackupName } from "../../agent/manifest/backup-name.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import type { TestAgent } from "../support/agent/agent.ts";
import { startAgentDueYearly } from "../support/agent/due-yearly.ts";
import { query } from "../support/database/query.ts";
import { UNLOADABLE } from "../support/database/unloadable.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";

const WHY =
  "the foreign key b_a_fkey of public.b does not load: rows of public.b refer to rows of public.a that do not exist";
/** In the normal lane each of the inputs has one of them. */
const FORMATS = ["sql", "dump", "dir.tar"];
const KEEP =
  "ALTER TABLE public.b DROP CONSTRAINT b_a_fkey, ADD CONSTRAINT b_a_fkey FOREIGN KEY (a) REFERENCES public.a(id) NOT VALID;";

describe("a database that backs up and cannot be reloaded", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  beforeEach(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    agent = await startAgentDueYearly(postgres);
  });
  afterEach(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  const sql = (text: string) => query(postgres, "budgie_dev", text);
  const backups = async () => (await readdir(agent.directory)).filter(isBackupName).sort();
  const run = async (code: number, ...args: string[]) => {
    const ended = await agent.run(args);
    expect(ended.code, ended.stdout + ended.stderr).toBe(code);
    return ended.stdout + ended.stderr;
  };
  const recordOf = async (name: string) =>
    JSON.parse(await readFile(join(agent.directory, name.replace(/\..*$/, ".drill.json")), "utf8"));
  const danglingReference = () =>
    sql(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int REFERENCES a);
         SET session_replication_role = replica; INSERT INTO b VALUES (7)`);

  it("is told by each drill as that, with the object and what repairs it, in every format", async () => {
    const inputs = UNLOADABLE.filter(({ object }) => /t22|mv23|b24|a25/.test(object));
    expect(inputs).toHaveLength(4);
    for (const [at, { sql: text, object }] of inputs.entries()) {
      await sql("DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA public");
      await sql(text);
      for (const format of SLOW ? FORMATS : FORMATS.slice(at % FORMATS.length).slice(0, 1)) {
        await run(EXIT.done, "backup", "--format", format);
        const name = (await backups()).at(-1) as string;
        const said = await run(EXIT.unusableBackup, "drill", name);
        expect(said).toContain(`${name} is whole, and is kept, but cannot be reloaded as it is: ${object}`);
        const { outcome, why, repair } = await recordOf(name);
        expect(outcome).toBe("unloadable");
        expect(why.startsWith(`${object} does not load: `)).toBe(true);
        for (const line of repair) expect(said).toContain(line);
        expect(said).toContain("Then: npx budgie backup, and npx budgie drill");
        expect(said).not.toContain("Take a new backup");
      }
    }
  }, 300_000);

  it("is red until it is repaired, and then proven", async () => {
    await danglingReference();
    await run(EXIT.done, "backup");
    const [unloadable = ""] = await backups();
    const drilled = await agent.run(["drill", "--json"]);
    expect(drilled.code).toBe(EXIT.unusableBackup);
    expect(JSON.parse(drilled.stdout)).toMatchObject({
      outcome: "unloadable",
      why: WHY,
      repair: expect.arrayContaining([KEEP]),
    });

    const status = await run(EXIT.notFine, "status");
    expect(status).toContain(`${unloadable} is whole, and cannot be reloaded as it is: ${WHY}`);
    expect(status).toContain(KEEP);
    expect(status).not.toContain("There is no backup");
    expect(status).not.toContain("do not count as backups");
    expect(await run(EXIT.unusableBackup, "drill"), "told again").toContain(KEEP);
    expect(await run(EXIT.done, "list")).toContain(`cannot be reloaded, says its drill of`);
    expect(await run(EXIT.done, "prune")).not.toContain("Removed");
    await run(EXIT.done, "backup", "--reason", "before-change");

    await sql(KEEP);
    await run(EXIT.done, "backup");
    await run(EXIT.done, "drill");
    const fine = await run(EXIT.done, "status");
    expect(fine).toContain(`Note: Kept, though no restore takes them as they are: ${unloadable}.`);
  });

  itSlowly("says so when it was repaired before the drill, and that a new backup helps", async () => {
    await danglingReference();
    await run(EXIT.done, "backup");
    await sql("DELETE FROM b");
    const said = await run(EXIT.unusableBackup, "drill");
    expect(said).toContain("The live database does not show it any more. Take a new backup");
    await run(EXIT.done, "backup");
    await run(EXIT.done, "drill");
  });

  it("is noticed when it is suddenly empty, though none of its backups was proven", async () => {
    await danglingReference();
    await run(EXIT.done, "backup");
    await run(EXIT.unusableBackup, "drill");
    await sql("DROP TABLE b, a");
    expect(await run(EXIT.anotherDatabase, "check-identity")).toContain("is empty, although its backup");
  });

  it("has its first `up` refused with what to type, and let through for the reason that is accepted", async () => {
    await danglingReference();
    expect(await run(EXIT.failed, "accept-unproven")).toContain("There is nothing to accept");

    const refused = await run(EXIT.unusableBackup, "prove-first-backup");
    expect(refused).toContain(`is whole, and cannot be reloaded as it is: ${WHY}`);
    expect(refused).toContain(KEEP);
    expect(refused).toContain("npx budgie accept-unproven");

    const accepted = await run(EXIT.done, "accept-unproven");
    expect(accepted).toContain(WHY);
    const taken = await backups();
    const { code, stdout, stderr } = await agent.run(["prove-first-backup"]);
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toMatch(
      new RegExp(
        `^${taken.at(-1)}, NOT PROVEN, as accepted \\d{4}.* UTC: ${WHY} \\(tables: 2, rows: 1\\)\n$`,
      ),
    );
    expect(stderr).toContain("[!] WARNING: no backup of this database is proven");
    expect(await backups(), "none is taken for nothing").toEqual(taken);
    const status = await run(EXIT.done, "status");
    expect(status).toContain("Note: No backup is proven, as accepted on");
    expect(status).toContain(WHY);

    await run(EXIT.done, "backup", "--reason", "before-change");
    expect((await agent.run(["prove-first-backup"])).stdout).toContain("NOT PROVEN");
  });

  it("has no other fault let through by that, and needs no acceptance any more when a drill succeeds", async () => {
    await danglingReference();
    await run(EXIT.unusableBackup, "prove-first-backup");
    await run(EXIT.done, "accept-unproven");
    const record = join(agent.directory, ".accepted-unproven-test.json");

    await sql(`DELETE FROM b; CREATE DOMAIN d AS int; CREATE TABLE n (i d); INSERT INTO n VALUES (NULL);
               UPDATE pg_type SET typnotnull = true WHERE typname = 'd'`);
    await run(EXIT.done, "backup");
    const refused = await run(EXIT.unusableBackup, "prove-first-backup");
    expect(refused).toContain("the domain public.d does not load");
    expect(await run(EXIT.notFine, "status")).toContain("the domain public.d does not load");
    await access(record);

    await sql("ALTER DOMAIN d DROP NOT NULL");
    const { stdout } = await agent.run(["prove-first-backup"]);
    expect(stdout).toContain(", proven ");
    await expect(access(record)).rejects.toThrow("ENOENT");
    await run(EXIT.done, "status");
  });
});
