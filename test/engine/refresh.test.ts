// Another stack's data on this one, masked, with both on one engine.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { httpStatus } from "../../shared/http-status.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let source: TestStack;
let stack: TestStack;

beforeAll(async () => {
  source = await createStack();
  await source.up();
  await source.sql(
    "INSERT INTO users (email, first_name, last_name, password_hash) SELECT 'real' || n || '@example.com', 'Real', 'Name', 'hash' FROM generate_series(1, 30) n",
  );
  expect((await source.budgie(["backup"])).code).toBe(EXIT.done);
  expect((await source.budgie(["drill"])).code).toBe(EXIT.done);
  stack = await createStack();
  await stack.up();
  await stack.sql("CREATE TABLE own AS SELECT 1 AS id");
});

afterAll(async () => {
  await stack?.remove();
  await source?.remove();
});

const users = (of: TestStack) => of.sql("SELECT count(*) || ' ' || coalesce(min(email), '') FROM users");
const refresh = async (mask: string, ...args: string[]) => {
  const file = join(stack.stateFolder, "mask.sql");
  await writeFile(file, mask);
  return stack.budgie(["refresh", "--from", source.name, "--mask", file, "--yes", ...args]);
};

itSlowly("a mask that fails leaves both stacks as they were, and serving", async () => {
  const { code, all } = await refresh("DELETE FROM sessions;\nUPDATE users SET nothing = 1;\n");
  expect(code, all).toBe(EXIT.failed);
  expect(all).toContain("mask.sql ended with an error in line 2");
  expect(await users(stack)).toBe("0");
  expect(await stack.sql("SELECT id FROM own")).toBe("1");
  expect(await httpStatus(`${stack.url}/health`)).toBe(200);
});

it("the other stack's rows come masked, the API serves them, and an undo brings back what was there", async () => {
  const { code, all } = await refresh("UPDATE users SET email = 'user' || id || '@example.invalid';\n");
  expect(code, all).toBe(EXIT.done);
  expect(await users(stack)).toBe("30 user10@example.invalid");
  expect(await users(source)).toBe("30 real10@example.com");
  expect(await httpStatus(`${stack.url}/health`)).toBe(200);
  await stack.requireNoChange();
  await source.requireNoChange();
  const undone = await stack.budgie(["restore", "--undo", "--yes"]);
  expect(undone.code, undone.all).toBe(EXIT.done);
  expect(await stack.sql("SELECT id FROM own")).toBe("1");
  await stack.requireNoChange();
});

itSlowly(
  "as its settings say: out of the other stack's folder, with a mask that a change of it makes the agent anew for",
  async () => {
    const mask = join(stack.stateFolder, "configured-mask.sql");
    await writeFile(mask, "UPDATE users SET email = 'masked' || id || '@example.invalid';\n");
    for (const [setting, value] of [
      ["refreshFrom", source.name],
      ["refreshSource", source.backupDir],
      ["refreshMask", mask],
      ["refreshSchedule", "0 5 1 1 *"],
    ] as const)
      await stack.set(setting, value);
    await stack.up();
    await stack.requireNoChange();
    const { code, all } = await stack.budgie(["refresh", "--yes"]);
    expect(code, all).toBe(EXIT.done);
    expect(await users(stack)).toBe("30 masked10@example.invalid");
    expect(await httpStatus(`${stack.url}/health`)).toBe(200);
    const status = await stack.budgie(["status"]);
    expect(status.code, status.all).toBe(EXIT.done);
    expect(status.all).toContain(`Refresh: from ${source.name} (${source.backupDir}), next `);
    const before = [await stack.containerId("db"), await stack.containerId("backup")];
    await writeFile(mask, "DELETE FROM users;\n");
    await stack.up();
    expect(await stack.containerId("db")).toBe(before[0]);
    expect(await stack.containerId("backup")).not.toBe(before[1]);
    await stack.requireNoChange();
    const again = await stack.budgie(["refresh", "--yes", "--json"]);
    expect(again.code, again.all).toBe(EXIT.done);
    expect(await users(stack)).toBe("0");
  },
);
