import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;

beforeAll(async () => {
  stack = await createStack();
  await stack.up();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
});
afterAll(() => stack?.remove());

async function budgie(...args: string[]): Promise<string> {
  const { code, all } = await stack.budgie(args);
  expect(code, `budgie ${args.join(" ")}: ${all}`).toBe(0);
  return all;
}

function containerIds(): Promise<string[]> {
  return Promise.all((["db", "backend", "backup"] as const).map(stack.containerId));
}

it("a stack that was renamed goes on with its containers, its backups and its key", async () => {
  await budgie("backup");
  const before = await containerIds();
  const renamed = `${stack.name}-home`;

  await stack.rename(renamed);
  const { all } = await stack.up();

  expect(all).toContain(`Stack ${renamed} was called ${stack.name} before.`);
  expect(await containerIds()).toEqual(before);
  await stack.requireNoChange();
  await budgie("status");
  await budgie("verify", "all");
  await budgie("restore", "latest", "--yes");
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  const [newest] = JSON.parse(await budgie("list", "--json")) as { name: string; flaw: string | null }[];
  expect(newest?.flaw).toBeNull();
  const manifest = await readFile(
    join(stack.backupDir, `${newest?.name.replace(/\.sql$/, "")}.json`),
    "utf8",
  );
  expect(JSON.parse(manifest)).toMatchObject({ stack: stack.name, identity: "known" });
});
