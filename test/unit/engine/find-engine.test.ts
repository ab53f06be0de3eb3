import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isLocal } from "../../../engine/address.ts";
import { findEngine, unreachable } from "../../../engine/find-engine.ts";
import { engineTraits } from "../../../engine/traits.ts";

let home: string;
const servers: Server[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "budgie-home-"));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => new Promise(resolve => server.close(resolve))));
  rmSync(home, { recursive: true });
});

/** A server that answers on a socket as an engine does. */
async function engineAt(path: string, component: string, info: object = {}): Promise<string> {
  mkdirSync(join(path, ".."), { recursive: true });
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ Components: [{ Name: component }], ...info }));
  });
  servers.push(server);
  await new Promise<void>(resolve => server.listen(path, resolve));
  return `unix://${path}`;
}

function around(environment: NodeJS.ProcessEnv = {}) {
  return {
    environment: { XDG_RUNTIME_DIR: join(home, "run"), ...environment },
    home,
    platform: process.platform,
  };
}

function chooseContext(name: string, host?: string): void {
  const id = createHash("sha256").update(name).digest("hex");
  mkdirSync(join(home, ".docker/contexts/meta", id), { recursive: true });
  writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: name }));
  const meta = { Name: name, Endpoints: { docker: { Host: host } } };
  writeFileSync(join(home, ".docker/contexts/meta", id, "meta.json"), JSON.stringify(meta));
}

describe("the engine", () => {
  it("is the one of the setting, before DOCKER_HOST and the docker context", async () => {
    const host = await engineAt(join(home, "a.sock"), "Engine");
    chooseContext("remote", "unix:///nonexistent/context.sock");
    const engine = await findEngine(host, around({ DOCKER_HOST: "unix:///nonexistent/b.sock" }));
    expect(engine).toEqual({ host, kind: "docker", reachable: true });
  });

  it("is the one of DOCKER_HOST, before the docker context", async () => {
    const host = await engineAt(join(home, "a.sock"), "Podman Engine");
    chooseContext("remote", "unix:///nonexistent/context.sock");
    const engine = await findEngine(undefined, around({ DOCKER_HOST: host }));
    expect(engine).toEqual({ host, kind: "podman", reachable: true });
  });

  it("is the one of the chosen docker context even when it is down: another one has other volumes", async () => {
    await engineAt(join(home, "run/podman/podman.sock"), "Podman Engine");
    chooseContext("work", "unix:///nonexistent/work.sock");
    expect(await findEngine(undefined, around())).toEqual({
      host: "unix:///nonexistent/work.sock",
      kind: "docker",
      reachable: false,
      problem: "there is no such socket",
    });
  });

  it("is an error when the chosen docker context is gone", async () => {
    mkdirSync(join(home, ".docker"));
    writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: "gone" }));
    await expect(findEngine(undefined, around())).rejects.toThrow(
      /The docker context "gone" is the current one, but it names no engine \(.*\)\. Choose another: docker context use default/,
    );
  });

  it("that does not answer is reported after 15 seconds, not waited for", async () => {
    const path = join(home, "silent.sock");
    const server = createServer(() => undefined);
    servers.push(server);
    await new Promise<void>(resolve => server.listen(path, resolve));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const asked = findEngine(`unix://${path}`, around());
    await vi.advanceTimersByTimeAsync(15_000);
    vi.useRealTimers();
    const engine = await asked;
    expect(engine).toMatchObject({ reachable: false, problem: "no answer in time" });
    server.closeAllConnections();
    expect(unreachable(engine)).toContain(
      `No container engine answers at unix://${path} (no answer in time).`,
    );
  });
});

describe("limits of memory", () => {
  it.each([
    ["are kept", {}, []],
    ["are kept", { MemoryLimit: true, SwapLimit: true }, []],
    ["leave out what is swapped out", { MemoryLimit: true, SwapLimit: false }, ["memorySwap"]],
    ["are dropped", { MemoryLimit: false, SwapLimit: false }, ["memory", "memorySwap"]],
    ["are dropped", { Rootless: true, CgroupVersion: "1", MemoryLimit: true }, ["memory", "memorySwap"]],
    ["are kept", { Rootless: true, CgroupVersion: "2", MemoryLimit: true, SwapLimit: true }, []],
  ])("%s by an engine that says %o", async (_, info, dropped) => {
    const host = await engineAt(join(home, "a.sock"), "Engine", { ID: "ABCD", ...info });
    expect((await engineTraits({ host, kind: "docker", reachable: true })).dropped).toEqual(dropped);
  });
});

describe("an engine's address", () => {
  it("says whether paths and ports are this machine's", () => {
    expect(isLocal("unix:///var/run/docker.sock")).toBe(true);
    expect(isLocal("ssh://user@host")).toBe(false);
  });
});
