import { copyFile, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { writeSigned } from "../support/agent/manifest-key.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

const KEEPS_ONE = {
  BUDGIE_KEEP_DAYS: "1",
  BUDGIE_KEEP_AT_LEAST: "1",
  BUDGIE_KEEP_WEEKS: "0",
  BUDGIE_KEEP_MONTHS: "0",
};

interface Seen {
  code: number;
  problems: string[];
}

describe("backups that are gone, and not by a rule", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  beforeAll(async () => {
    postgres = await startPostgres();
    await query(postgres, "postgres", "CREATE TABLE ledger AS SELECT 1 AS row");
    agent = await startAgent(postgres, { database: "postgres", environment: KEEPS_ONE });
  });
  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await agent.clear();
  });

  const status = async (): Promise<Seen> => {
    const { code, stdout, stderr } = await agent.run(["status", "--json"]);
    expect([EXIT.done, EXIT.notFine], stderr).toContain(code);
    return { code, problems: (JSON.parse(stdout) as { problems: string[] }).problems };
  };
  const expectRed = async (says: RegExp | string) => {
    const { code, problems } = await status();
    expect(code).toBe(EXIT.notFine);
    expect(problems.join("\n")).toMatch(says);
  };
  const remove = async (backup: string) => {
    for (const name of await readdir(agent.directory))
      if (name.startsWith(backup.replace(".sql", "."))) await rm(join(agent.directory, name));
  };

  it("turn the status red, also after the next backup, until they are back", async () => {
    const { file } = await takeBackup(agent);
    const aside = `${agent.directory}-aside`;
    await mkdir(aside);
    for (const name of await readdir(agent.directory))
      await rename(join(agent.directory, name), join(aside, name));

    await expectRed(`./backups is empty, and these backups were there: ${file}. Is its disk mounted?`);
    await takeBackup(agent);
    await expectRed(`This is gone from ./backups, and not by a rule: ${file}.`);

    for (const name of await readdir(aside))
      if (name.includes(file.slice(0, -4))) await rename(join(aside, name), join(agent.directory, name));
    await rm(aside, { recursive: true });
    expect(await status()).toEqual({ code: EXIT.done, problems: [] });
  });

  it("turn the status red after the agent was started anew on an empty directory", async () => {
    const { file } = await takeBackup(agent);
    await agent.exec(["sh", "-c", "rm -rf /backups/* /backups/.[!.]*"]);
    await agent.container.restart({ t: 5 });
    await expectRed(`these backups were there: ${file}`);
  });

  it("are accepted as lost by a command, which names them", async () => {
    const first = await takeBackup(agent);
    const second = await takeBackup(agent);
    await remove(first.file);
    await expectRed(first.file);
    const { code, stdout } = await agent.run(["accept-missing-backups"]);
    expect(code).toBe(EXIT.done);
    expect(stdout).toContain(`${first.file} is not missed any more`);
    expect(stdout).not.toContain(second.file);
    expect(await status()).toEqual({ code: EXIT.done, problems: [] });
    expect((await agent.run(["accept-missing-backups"])).stdout).toContain("No backup is missing");
  });

  it("are not those that a rule removes", async () => {
    const { file, ...manifest } = await takeBackup(agent);
    const old = "budgie_20200301_020000";
    const at = "2020-03-01T02:00:00.000Z";
    await copyFile(join(agent.directory, file), join(agent.directory, `${old}.sql`));
    const path = join(agent.directory, `${old}.json`);
    await writeSigned(path, { ...manifest, file: `${old}.sql`, startedAt: at, finishedAt: at });
    await takeBackup(agent);

    const { code, stdout, stderr } = await agent.run(["prune"]);

    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain(`Removed ${old}.sql`);
    expect((await status()).problems.join("\n")).not.toContain("gone from");
  });

  it("are told when only the manifest is gone: without it nobody knows whose the backup is", async () => {
    const { file } = await takeBackup(agent);
    await takeBackup(agent);
    const manifest = file.replace(".sql", ".json");
    await rm(join(agent.directory, manifest));
    await expectRed(`${manifest}, the manifest of ${file}`);
  });

  it("are not the files that Budgie's own script has left there: these are kept and noted", async () => {
    const old = "budgie_20251125_092704.sql";
    await writeFile(join(agent.directory, old), "-- of the old script\n");
    await takeBackup(agent);
    const { stdout } = await agent.run(["status", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ fine: true, problems: [] });
    expect(JSON.parse(stdout).warnings.join("\n")).toContain(`Kept, though never the latest: ${old}`);
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
    expect(await readdir(agent.directory)).toContain(old);
  });

  it("are not those that somebody has compressed by hand", async () => {
    const { file } = await takeBackup(agent);
    const { code, stderr } = await agent.exec(["gzip", `/backups/${file}`]);
    expect(code, stderr).toBe(0);
    expect((await status()).problems.join("\n")).not.toContain(file);
  });

  it("still say which database is the stack's: an empty one does not pass for it", async () => {
    const { file } = await takeBackup(agent);
    await agent.exec(["sh", "-c", "rm -rf /backups/* /backups/.[!.]*"]);
    await query(postgres, "postgres", "DROP TABLE ledger");
    try {
      const { code, stderr } = await agent.run(["check-identity"]);
      expect(code).toBe(EXIT.anotherDatabase);
      expect(stderr).toContain(`is empty, although its backup ${file} holds 1 tables`);
      expect(stderr).toContain(`bring ${file} back into ./backups first`);
    } finally {
      await query(postgres, "postgres", "CREATE TABLE ledger AS SELECT 1 AS row");
    }
  });
});

describe("a backup directory that was removed while the agent runs", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  beforeAll(async () => {
    postgres = await startPostgres();
    agent = await startAgent(postgres, { database: "postgres" });
    await takeBackup(agent);
    await rm(agent.directory, { recursive: true });
  });
  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it.each([["backup"], ["list"], ["status"], ["drill"], ["prune"]])(
    "is told by %s, with what makes it anew",
    async command => {
      const { code, stdout, stderr } = await agent.run([command]);
      expect(code).not.toBe(EXIT.done);
      expect(`${stdout}${stderr}`).toContain("./backups was removed while the backup agent ran");
      expect(`${stdout}${stderr}`).toContain("npm run pulumi -- up");
      expect(stderr).not.toContain("Unexpected");
    },
  );
});
