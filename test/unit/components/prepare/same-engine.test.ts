import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type KnownEngine, otherEngineProblem } from "../../../../components/prepare/same-engine.ts";
import type { Engine } from "../../../../engine/find-engine.ts";

let folder: string;
let servers: Server[];
/** What the stack's state holds; undefined before the first `up`. */
let memory: KnownEngine | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "budgie-engine-"));
  servers = [];
  memory = undefined;
  await pulumi.runtime.setMocks({
    newResource: ({ inputs }) => {
      memory ??= inputs.input;
      return { id: "id", state: { ...inputs, output: memory } };
    },
    call: () => ({}),
  });
});

afterEach(async () => {
  await pulumi.runtime.disconnect();
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  rmSync(folder, { recursive: true });
});

/** An engine that says of itself what `info` gives at each call. */
async function engineAt(name: string, kind: Engine["kind"], info: () => object): Promise<Engine> {
  const path = join(folder, name);
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(info()));
  });
  servers.push(server);
  await new Promise<void>(resolve => server.listen(path, resolve));
  return { host: `unix://${path}`, kind, reachable: true };
}

const podmanOf = (name: string, machine: string, storage: string) =>
  // As Podman answers: another ID at each call.
  engineAt(name, "podman", () => ({ ID: String(Math.random()), Name: machine, DockerRootDir: storage }));

describe("a stack", () => {
  it("takes the engine of its first `up` for its own, and meets it again", async () => {
    const engine = await podmanOf("podman.sock", "home", "/var/lib/containers/storage");
    expect(await otherEngineProblem(engine, "dev")).toBeUndefined();
    expect(memory).toEqual({ host: engine.host, identity: "home:/var/lib/containers/storage" });
    expect(await otherEngineProblem(engine, "dev")).toBeUndefined();
  });

  it("knows its engine under another address", async () => {
    const docker = () => ({ ID: "ABCD:EFGH", Name: "home" });
    await otherEngineProblem(await engineAt("docker.sock", "docker", docker), "dev");
    const renamed = await engineAt("context.sock", "docker", docker);
    expect(await otherEngineProblem(renamed, "dev")).toBeUndefined();
  });

  it("made by an ordinary user is refused on root's engine, with both and the way back", async () => {
    const own = await podmanOf("user.sock", "home", "/home/ann/.local/share/containers/storage");
    const root = await podmanOf("root.sock", "home", "/var/lib/containers/storage");
    await otherEngineProblem(own, "dev");
    const { problem, ownHost } = (await otherEngineProblem(root, "dev")) ?? {};
    expect(ownHost).toBe(own.host);
    expect(problem).toContain("Nothing was changed.");
    expect(problem).toContain(`its own: ${own.host} (home:/home/ann/.local/share/containers/storage)`);
    expect(problem).toContain(`found:   ${root.host} (home:/var/lib/containers/storage)`);
    expect(problem).toContain(`npm run pulumi -- config set budgie:engineHost ${own.host}\n`);
    expect(problem).toMatch(
      /npm run pulumi -- state delete 'urn:pulumi:.*::pulumi:index:Stash::container-engine'$/,
    );
  });

  it("is refused when another engine answers at its own engine's address", async () => {
    let id = "ABCD";
    const engine = await engineAt("docker.sock", "docker", () => ({ ID: id }));
    await otherEngineProblem(engine, "dev");
    id = "EFGH";
    const { problem } = (await otherEngineProblem({ ...engine }, "dev")) ?? {};
    expect(problem).toContain("Start its own engine at that address again.");
    expect(problem).not.toContain("config set");
  });

  it("can be previewed where no engine answers", async () => {
    await otherEngineProblem(await engineAt("docker.sock", "docker", () => ({ ID: "ABCD" })), "dev");
    const none: Engine = { host: "unix:///nonexistent", kind: "docker", reachable: false, problem: "gone" };
    expect(await otherEngineProblem(none, "dev")).toBeUndefined();
  });

  it("is not brought up on an engine that does not say which one it is", async () => {
    const engine = await engineAt("docker.sock", "docker", () => ({ ID: "" }));
    await expect(otherEngineProblem(engine, "dev")).rejects.toThrow(
      `The container engine at ${engine.host} does not say which one it is.`,
    );
  });
});
