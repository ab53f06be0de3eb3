import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect } from "vitest";
import type { Status } from "../../agent/status/status.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

let stack: TestStack;

afterEach(() => stack?.remove());

itSlowly(
  "point in time is switched on, used and switched off, and the database's container stays what it is",
  async () => {
    stack = await createStack();
    await stack.up();
    const database = await stack.containerId("db");
    await stack.sql("CREATE TABLE ours AS SELECT 1 AS id");

    await stack.set("pointInTime", "true");
    await stack.up();
    expect(await stack.containerId("db")).toBe(database);
    await stack.requireNoChange();
    await statusUntil(
      "a base backup",
      ({ pointInTime }) => pointInTime !== null && pointInTime.earliest !== null,
    );
    const kept = new Date().toISOString();
    await statusUntil("that moment", ({ pointInTime }) => (pointInTime?.latest ?? "") > kept);
    await stack.sql("DROP TABLE ours");

    const restored = await stack.budgie(["restore", "--at", kept, "--yes"]);
    expect(restored.code, restored.all).toBe(0);
    expect(await stack.sql("SELECT id FROM ours")).toBe("1");

    await stack.set("pointInTime", "false");
    await stack.up();
    expect(await stack.containerId("db")).toBe(database);
    await stack.requireNoChange();
    expect(await stack.sql("SELECT count(*) FROM pg_replication_slots")).toBe("0");
    expect(await stack.sql("SHOW max_slot_wal_keep_size")).toBe("-1");
    expect((await readStatus()).pointInTime).toBeNull();
    expect(await readdir(join(stack.backupDir, "point-in-time"))).toHaveLength(1);
  },
);

async function readStatus(): Promise<Status> {
  return JSON.parse((await stack.budgie(["status", "--json"])).stdout);
}

async function statusUntil(what: string, isSo: (status: Status) => boolean): Promise<void> {
  const log = () => stack.logs("backup");
  await until(what, readStatus, isSo, { withinMs: 120_000, everyMs: 1000, log });
}
