import { randomBytes } from "node:crypto";
import type Docker from "dockerode";
import { afterEach, beforeEach, expect, it } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { type PendingCreate, removeLeftovers } from "../../toolchain/commands/leftovers.ts";
import { toolchainEnvironment } from "../../toolchain/machine/environment.ts";

let docker: Docker;
let pending: PendingCreate;
let volume: string;

const HOUR_MS = 3_600_000;
const earlier = () => new Date(Date.now() - HOUR_MS);
const later = () => new Date(Date.now() + HOUR_MS);

beforeEach(async () => {
  await toolchainEnvironment();
  docker = engineClient((await findEngine()).host);
  const prefix = `budgie-test-${randomBytes(3).toString("hex")}`;
  pending = { kind: "container", name: `${prefix}-db`, stack: "test", prefix };
  volume = `${prefix}-postgres-data`;
});
afterEach(async () => {
  await docker.getContainer(pending.name).remove({ force: true }).catch(ignoreMissing);
  await docker.getVolume(volume).remove().catch(ignoreMissing);
});

const create = (stack: string) =>
  docker.createContainer({
    name: pending.name,
    Image: "postgres:16-alpine",
    Labels: { "budgie.stack": stack, "budgie.prefix": pending.prefix, "budgie.role": "database" },
    HostConfig: { Binds: [`${volume}:/var/lib/postgresql/data`] },
  });
const isThere = (id: string) =>
  docker
    .getContainer(id)
    .inspect()
    .then(() => true, ignoreMissing);

it("a container that the killed update had just made is removed, and its volume stays", async () => {
  const { id } = await create(pending.stack);
  await removeLeftovers(docker, [pending], new Set(), earlier());
  expect(await isThere(id)).not.toBe(true);
  expect((await docker.getVolume(volume).inspect()).Name).toBe(volume);
});

it("a container that the stack knows stays, without a word", async () => {
  const { id } = await create(pending.stack);
  await removeLeftovers(docker, [pending], new Set([id]), earlier());
  expect(await isThere(id)).toBe(true);
});

it.each([
  { whose: "older than the update: another checkout's", stack: "test", since: later },
  { whose: "of another stack", stack: "other", since: earlier },
  { whose: "of an unknown time", stack: "test", since: () => undefined },
])("a container $whose, stays, and how to remove it by hand is said", async ({ stack, since }) => {
  const { id } = await create(stack);
  const removal = removeLeftovers(docker, [pending], new Set(), since());
  await expect(removal).rejects.toThrow(`docker rm ${pending.name}     # without -v`);
  expect(await isThere(id)).toBe(true);
});

function ignoreMissing(error: { statusCode?: number }): void {
  if (error.statusCode !== 404) throw error;
}
