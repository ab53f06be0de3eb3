import { afterAll, beforeAll, expect, it } from "vitest";
import { findEngine } from "../../engine/find-engine.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { engineTraits } from "../../engine/traits.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const HEALTHY_WITHIN_MS = 120_000;
const SERVICES = ["db", "backend", "backup", "object-store"];

let stack: TestStack;

beforeAll(async () => {
  // With a schedule, the agent takes its first backup at once.
  stack = await createStack({ objectStore: "local", backupSchedule: "0 2 * * *" });
  await stack.up();
});
afterAll(() => stack?.remove());

const container = (service: string) => stack.docker.getContainer(`${stack.prefix}-${service}`);

it("every container is healthy soon after `up`, and none of what it says of its health differs", async () => {
  for (const service of SERVICES) {
    const health = async () => (await container(service).inspect()).State.Health;
    const patience = { withinMs: HEALTHY_WITHIN_MS, everyMs: 500 };
    await until(`${service} is healthy`, health, found => found?.Status === "healthy", patience);
  }
  await stack.requireNoChange();
});

it("the API runs as an ordinary user, without a capability; PostgreSQL becomes one", async () => {
  expect(await processOne("backend")).toMatchObject({ uid: 1000, capabilities: 0n });
  expect(await processOne("db")).toMatchObject({ uid: 70, capabilities: 0n });
  expect(await processOne("object-store")).toMatchObject({ uid: 0, capabilities: 0n });
});

it("no process of a container can gain rights, and none has those of the machine", async () => {
  const mine = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];
  const allowed = mine.reduce((bits, name) => bits | (1n << BIT[name as keyof typeof BIT]), 0n);
  for (const service of SERVICES) {
    const { bounding, noNewPrivileges } = await processOne(service);
    expect([service, bounding & ~allowed, noNewPrivileges]).toEqual([service, 0n, true]);
  }
});

it("the kernel holds each container to its memory, as far as it can", async () => {
  const { dropped } = await engineTraits(await findEngine());
  for (const service of SERVICES) {
    const { HostConfig: host } = await container(service).inspect();
    const [memory, swap] = [host.Memory ?? 0, host.MemorySwap ?? 0];
    if (!dropped.includes("memory")) expect([service, memory >= 512 * 2 ** 20]).toEqual([service, true]);
    if (!dropped.includes("memorySwap")) expect([service, swap]).toEqual([service, memory]);
  }
});

it("more memory for the database leaves its container running", async () => {
  const before = await stack.containerId("db");
  await stack.set("databaseMemoryMegabytes", "1536");
  await stack.up();
  expect(await stack.containerId("db")).toBe(before);
  const { HostConfig: host } = await container("db").inspect();
  expect(host.Memory).toBe(1536 * 2 ** 20);
  await stack.requireNoChange();
});

/** As linux/capability.h numbers them. */
const BIT = { CHOWN: 0n, DAC_OVERRIDE: 1n, FOWNER: 3n, KILL: 5n, SETGID: 6n, SETUID: 7n };

async function processOne(service: string) {
  const { stdout } = await collectFromContainer(container(service), ["cat", "/proc/1/status"]);
  const field = (name: string) => new RegExp(`^${name}:\\s+(\\w+)`, "m").exec(stdout)?.[1] ?? "";
  return {
    uid: Number(field("Uid")),
    capabilities: BigInt(`0x${field("CapEff")}`),
    bounding: BigInt(`0x${field("CapBnd")}`),
    noNewPrivileges: field("NoNewPrivs") === "1",
  };
}
