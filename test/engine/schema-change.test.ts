// A new version of the API whose migration fails, and the way back.
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Migration } from "../../backend/migrations.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { httpStatus } from "../../shared/http-status.ts";
import { writeBackend } from "../support/backend.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

const FITS = { name: "0003-notes", sql: "ALTER TABLE users ADD note text" };
const FAILS = { name: "0004-unfit", sql: "ALTER TABLE kept ADD CONSTRAINT large CHECK (answer > 100)" };

let stack: TestStack;
const folders: string[] = [];

/** Checks out a version of the API: its own migrations, and those that come behind them. */
async function checkOut(...migrations: Migration[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-api-"));
  folders.push(folder);
  await writeBackend(join(folder, "server.cjs"), migrations);
  await copyFile("backend/Dockerfile", join(folder, "Dockerfile"));
  await stack.set("backendContext", folder);
}
const up = () => stack.pulumi("up", "--yes", "--skip-preview");

beforeAll(async () => {
  stack = await createStack();
  await checkOut();
  await stack.up();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
});

afterAll(async () => {
  await stack?.remove();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function isWell(): Promise<void> {
  expect(await httpStatus(`${stack.url}/health`)).toBe(200);
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
}

it("a migration that fails: `up` says which and why, the data is as it was, and the code from before runs again", async () => {
  await checkOut(FAILS);
  const refused = await up();
  expect(refused.code).not.toBe(0);
  expect(refused.all).toContain("the migration 0004-unfit failed, and nothing of it was kept");
  expect(refused.all).toContain("A migration of this version does not fit the data.");
  expect(refused.all).toContain("npx budgie restore BACKUP");
  expect(refused.all).not.toMatch(/^\s+at /m);
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  await checkOut();
  await stack.up();
  await isWell();
});

itSlowly(
  "one behind another that succeeded: the code from before refuses, and the pinned backup brings all of it back",
  async () => {
    const taken = await stack.budgie(["backup", "--pin"]);
    expect(taken.code, taken.all).toBe(EXIT.done);
    const backup = /npx budgie restore (budgie_\S+)/.exec(taken.all)?.[1] ?? "";
    await checkOut(FITS, FAILS);
    expect((await up()).code).not.toBe(0);
    await checkOut();
    const older = await up();
    expect(older.code).not.toBe(0);
    expect(older.all).toContain("migrated by a newer backend (0003-notes)");
    expect(older.all).toContain("npx budgie restore BACKUP");
    const restored = await stack.budgie(["restore", backup, "--yes"]);
    expect(restored.code, restored.all).toBe(EXIT.done);
    await stack.up();
    await isWell();
    await stack.requireNoChange();
    expect((await stack.budgie(["prune", "--dry-run"])).all).toMatch(
      new RegExp(`${backup} +stays +.*pinned`),
    );
  },
);
