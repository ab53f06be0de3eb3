import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backendsProblem, severalBackends } from "../../../../components/prepare/backends.ts";
import type { Engine } from "../../../../engine/find-engine.ts";
import { parseSettings } from "../../../../settings.ts";
import { DEFAULTS } from "../../../support/stack/mocks.ts";

let folder: string;
let servers: Server[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "budgie-engine-"));
  servers = [];
});

afterEach(async () => {
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  rmSync(folder, { recursive: true });
});

/** An engine that says this of itself. */
async function engine(Swarm: object, kind: Engine["kind"] = "docker"): Promise<Engine> {
  const path = join(folder, `${servers.length}.sock`);
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ID: "an-id", Name: "machine", DockerRootDir: "/var/lib/x", Swarm }));
  });
  servers.push(server);
  await new Promise<void>(resolve => server.listen(path, resolve));
  return { host: `unix://${path}`, kind, reachable: true };
}

const settings = (backends: string) =>
  parseSettings({
    stack: "dev",
    values: { ...DEFAULTS, "budgie:backends": backends, "budgie:httpAddress": "0.0.0.0" },
    isSecret: () => false,
  });
const MANAGER = { LocalNodeState: "active", ControlAvailable: true, NodeID: "the-node" };
const NONE = { LocalNodeState: "inactive", ControlAvailable: false, NodeID: "" };

describe("an engine for several backends", () => {
  it("manages a swarm, and runs them itself", async () => {
    const manager = await engine(MANAGER);
    expect(await backendsProblem(manager, settings("3"))).toBeUndefined();
    expect(await severalBackends(manager, settings("3"))).toEqual({ backends: 3, node: "the-node" });
  });

  it("that is in no swarm is told how to be one, by the line to type", async () => {
    const alone = await engine(NONE);
    const said = await backendsProblem(alone, settings("3"));
    expect(said).toContain("is in none. Nothing was changed.");
    expect(said).toContain(`  docker --host ${alone.host} swarm init\n`);
    expect(said).toContain("  npm run pulumi -- config set budgie:backends 1");
  });

  it("that is a worker is refused: a manager decides what runs", async () => {
    const worker = await engine({ ...MANAGER, ControlAvailable: false });
    expect(await backendsProblem(worker, settings("2"))).toContain("  docker node promote the-node\n");
  });

  it("is not Podman", async () => {
    const podman = await engine(NONE, "podman");
    expect(await backendsProblem(podman, settings("2"))).toContain("is Podman, which has none.");
  });

  it("need not be asked for one backend", async () => {
    expect(await backendsProblem(await engine(NONE), settings("1"))).toBeUndefined();
    expect(await severalBackends(await engine(NONE), settings("1"))).toBeUndefined();
  });
});
