import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type ExportedState,
  engineHost,
  knownIds,
  pendingCreates,
} from "../../../../toolchain/commands/leftovers.ts";
import { removeCutOffAttributes } from "../../../../toolchain/commands/state-attributes.ts";
import { mayStillRun, readLocks, type StateLock } from "../../../../toolchain/commands/state-lock.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "budgie-test-recover-"));
});
afterEach(() => rm(folder, { recursive: true }));

const lock = (pid: number, host = hostname()): StateLock => ({
  pid,
  hostname: host,
  timestamp: "2026-11-25T12:00:00Z",
});

describe("a stack's locks", () => {
  it("are those of this stack alone, and one that was cut off in its writing says nothing", async () => {
    for (const [stack, text] of [
      ["dev", JSON.stringify(lock(1))],
      ["dev2", JSON.stringify(lock(2))],
    ] as const) {
      const own = join(folder, ".pulumi", "locks", "organization", "budgie", stack);
      await mkdir(own, { recursive: true });
      await writeFile(join(own, "a.json"), text);
      await writeFile(join(own, "a.json.attrs"), "{}");
      await writeFile(join(own, "b.json"), '{"pid": 1');
    }
    const locks = await readLocks(folder, "dev");
    expect(locks).toHaveLength(2);
    expect(locks).toEqual(expect.arrayContaining([lock(1), null]));
    expect(await readLocks(folder, "prod")).toEqual([]);
  });

  it("hold while the pulumi that made them runs, and no longer", async () => {
    const pulumi = join(folder, "pulumi");
    await copyFile("/bin/sleep", pulumi);
    const running = spawn(pulumi, ["60"]);
    const pid = running.pid ?? 0;
    await once(running, "spawn");
    expect(await mayStillRun(lock(pid))).toContain(`Process ${pid}`);
    running.kill("SIGKILL");
    await once(running, "exit");
    expect(await mayStillRun(lock(pid))).toBeUndefined();
  });

  it("are not those of the program that has the number by now", async () => {
    expect(await mayStillRun(lock(process.pid))).toBeUndefined();
  });

  it("of another machine may hold: it cannot be asked", async () => {
    expect(await mayStillRun(lock(1, "elsewhere"))).toContain("elsewhere");
  });
});

describe("the attributes beside the files of a state", () => {
  it("go when a kill has cut them off; whole ones, and every other file, stay", async () => {
    const stacks = join(folder, ".pulumi", "stacks", "budgie");
    await mkdir(stacks, { recursive: true });
    for (const [name, text] of [
      ["dev.json", ""],
      ["dev.json.attrs", ""],
      ["dev.json.bak", "{}"],
      ["dev.json.bak.attrs", '{"user.cache_con'],
      ["prod.json", "{}"],
      ["prod.json.attrs", '{"md5":"mZFLkyvTelC5g8XnyQrpOw=="}\n'],
    ] as const)
      await writeFile(join(stacks, name), text);
    await removeCutOffAttributes(folder);
    const left = ["dev.json", "dev.json.bak", "prod.json", "prod.json.attrs"];
    expect((await readdir(stacks)).sort()).toEqual(left);
  });
});

describe("what a killed update was making", () => {
  const labels = [
    { label: "budgie.stack", value: "dev" },
    { label: "budgie.prefix", value: "budgie" },
  ];
  const container = "docker:index/container:Container";
  const state: ExportedState = {
    deployment: {
      resources: [
        { type: "pulumi:providers:docker", id: "p", inputs: { host: "unix:///run/podman.sock" } },
        { type: container, id: "known", inputs: { name: "budgie-backup", labels } },
        { type: "budgie:stack:Database" },
      ],
      pending_operations: [
        { type: "creating", resource: { type: container, inputs: { name: "budgie-db", labels } } },
        {
          type: "creating",
          resource: { type: "docker:index/network:Network", inputs: { name: "budgie-network", labels } },
        },
        {
          type: "creating",
          resource: { type: "docker:index/volume:Volume", inputs: { name: "budgie-postgres-data", labels } },
        },
        { type: "deleting", resource: { type: container, inputs: { name: "budgie-backend", labels } } },
        { type: "creating", resource: { type: container, inputs: { name: "not-ours", labels: [] } } },
      ],
    },
  };

  it("is told by its state: containers and networks of the stack, and never a volume", () => {
    const own = { stack: "dev", prefix: "budgie" };
    expect(pendingCreates(state)).toEqual([
      { kind: "container", name: "budgie-db", ...own },
      { kind: "network", name: "budgie-network", ...own },
    ]);
    expect([...knownIds(state)]).toEqual(["p", "known"]);
    expect(engineHost(state)).toBe("unix:///run/podman.sock");
  });

  it("is nothing in a state that was never written", () => {
    expect(pendingCreates({ deployment: {} })).toEqual([]);
    expect(engineHost({ deployment: {} })).toBeUndefined();
  });
});
