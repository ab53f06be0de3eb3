import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Manifest } from "../../agent/manifest.ts";
import { createStack, type TestStack } from "../support/stack.ts";

let stack: TestStack;

const manifests = async (): Promise<Manifest[]> => {
  const names = (await readdir(stack.backupDir)).filter(name => /^budgie_.*\.json$/.test(name)).sort();
  return Promise.all(
    names.map(async name => JSON.parse(await readFile(join(stack.backupDir, name), "utf8"))),
  );
};

/** The agent's own lock, held by somebody else: the simplest way to make every backup fail. */
const holdLock = async () => {
  const container = stack.docker.getContainer(`${stack.prefix}-db`);
  const sql = "SELECT pg_advisory_lock(1651860583, 2), pg_sleep(600)";
  const exec = await container.exec({ Cmd: ["psql", "-U", "budgie_user", "-d", "postgres", "-c", sql] });
  await exec.start({ Detach: true });
  const held =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651860583 AND granted";
  const giveUpAt = Date.now() + 20_000;
  while ((await stack.sql(held)) !== "1")
    if (Date.now() > giveUpAt) throw new Error("the lock was not taken");
};
const replaceDatabase = () =>
  stack.pulumi(
    "up",
    "--yes",
    "--skip-preview",
    "--replace",
    `urn:pulumi:${stack.name}::budgie::budgie:stack:Database$docker:index/container:Container::database-container`,
  );

describe("a change of the database", () => {
  beforeEach(async () => {
    stack = await createStack();
    await stack.up();
    await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
  });

  afterEach(() => stack.remove());

  it("is made only after a backup that has every row; the new database was shut down, not interrupted", async () => {
    const before = await stack.containerId("db");

    const { code, all } = await replaceDatabase();

    expect(code, all).toBe(0);
    expect(await stack.containerId("db")).not.toBe(before);
    const [backup, ...others] = await manifests();
    expect(others).toEqual([]);
    expect(backup?.reason).toBe("before-change");
    expect(backup?.tables).toContainEqual(expect.objectContaining({ name: "public.kept", rows: 1 }));
    const { Created: created } = await stack.docker.getContainer(`${stack.prefix}-db`).inspect();
    expect(new Date(backup?.finishedAt ?? 0).getTime()).toBeLessThan(new Date(created).getTime());
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
    const log = await stack.logs("db");
    expect(log).toContain("database system was shut down at");
    expect(log).not.toContain("interrupted");
    await stack.requireNoChange();
  });

  it("is refused when the backup fails, and made without one only when that is said aloud", async () => {
    const before = await stack.containerId("db");
    await holdLock();

    for (const refused of [
      await replaceDatabase(),
      await stack.pulumi("destroy", "--yes", "--skip-preview"),
    ]) {
      expect(refused.code, refused.all).not.toBe(0);
      expect(refused.all).toContain("no backup of it could be taken");
      expect(refused.all).toContain("BUDGIE_SKIP_BACKUP=1");
      expect(await stack.containerId("db")).toBe(before);
      expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
      expect((await fetch(`${stack.url}/health`)).status, "the API runs on").toBe(200);
    }

    process.env.BUDGIE_SKIP_BACKUP = "1";
    try {
      const { code, all } = await stack.destroy();
      expect(code, all).toBe(0);
      expect(all).toContain("WITHOUT a backup");
    } finally {
      delete process.env.BUDGIE_SKIP_BACKUP;
    }
    expect(await manifests()).toEqual([]);
  });

  it("of the API alone takes no backup, and one of the backup agent with the database still takes one", async () => {
    await stack.set("frontendUrl", "https://budgie.example.com");
    await stack.up();
    expect(await manifests()).toEqual([]);

    await stack.set("backupFormat", "sql.gz");
    const { code, all } = await replaceDatabase();
    expect(code, all).toBe(0);
    expect((await manifests()).map(({ reason, file }) => [reason, file.endsWith(".sql")])).toEqual([
      ["before-change", true],
    ]);
    await stack.requireNoChange();
  });

  it("while the database is down is refused with what to type", async () => {
    await stack.docker.getContainer(`${stack.prefix}-db`).stop();
    const refused = await stack.pulumi("destroy", "--yes", "--skip-preview");
    expect(refused.code).not.toBe(0);
    expect(refused.all).toContain(`The container ${stack.prefix}-db is exited.`);
    expect(refused.all).toContain("npx budgie start");
    expect((await stack.budgie(["start"])).code).toBe(0);
    expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
    await stack.destroy();
    expect((await manifests()).map(({ reason }) => reason)).toEqual(["before-change"]);
  });
});
