import { afterAll, beforeAll, expect } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;

beforeAll(async () => {
  if (!SLOW) return;
  stack = await createStack();
  await stack.up();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
});

afterAll(async () => {
  await stack?.remove();
});

const succeeds = async (args: string[]) => {
  const { code, all } = await stack.budgie(args);
  expect(code, all).toBe(0);
  return all;
};

/** test/engine/volume-commands.test.ts purges a volume, survival.test.ts restores after all was lost. */
itSlowly("a fresh start takes a destroy and a purge, and a restore brings the data back", async () => {
  const volume = `${stack.prefix}-postgres-data`;
  const purge = ["purge", "--backup-dir", stack.backupDir, "--yes-delete", volume];
  const early = await stack.budgie(purge);
  expect(early.code, early.all).toBe(EXIT.notConfirmed);
  for (const args of [["stop", "backend"], ["backup"], ["drill"]]) await succeeds(args);
  await stack.destroy();
  expect(await succeeds(purge)).toContain("which holds the same");

  const up = await stack.pulumi("up", "--yes", "--skip-preview");
  expect(up.code, up.all).not.toBe(0);
  expect(up.all).toContain("npx budgie accept-database");
  await succeeds(["restore", "latest"]);
  await stack.up();
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
});
