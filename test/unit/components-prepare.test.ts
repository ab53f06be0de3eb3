import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../components/engine.ts";
import { httpPortProblem } from "../../components/http-port.ts";
import { namePrefixProblem } from "../../components/name-prefix.ts";
import { freePort } from "../support/free-port.ts";

let folder: string;
let engine: Engine;
let containers: ReturnType<typeof container>[];
let rootless: boolean;
const servers: Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "budgie-engine-"));
  containers = [];
  rootless = false;
  const socket = join(folder, "engine.sock");
  await listening(
    createHttp((request, response) => response.end(JSON.stringify(answer(request.url ?? "")))),
    socket,
  );
  engine = { host: `unix://${socket}`, kind: "docker", reachable: true };
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => new Promise(resolve => server.close(resolve))));
  rmSync(folder, { recursive: true });
});

function listening(server: Server, at: string | number): Promise<void> {
  servers.push(server);
  return new Promise(resolve => {
    if (typeof at === "string") server.listen(at, resolve);
    else server.listen(at, "127.0.0.1", resolve);
  });
}

/** As the engine lists and inspects a container; one between two restarts is listed without its port. */
function container(port: number, labels: Record<string, string>, listed = true) {
  return {
    Id: "id",
    Names: ["/web"],
    State: listed ? "running" : "restarting",
    Labels: labels,
    Ports: listed ? [{ PublicPort: port, IP: "0.0.0.0" }] : [],
    HostConfig: { PortBindings: { "3001/tcp": [{ HostIp: "0.0.0.0", HostPort: String(port) }] } },
  };
}

function answer(path: string): unknown {
  const url = new URL(path, "http://engine");
  if (url.pathname === "/info") return { ID: "id", Rootless: rootless };
  if (url.pathname !== "/containers/json") return containers[0];
  const filters = JSON.parse(url.searchParams.get("filters") ?? "{}") as { label?: string[] };
  return containers.filter(({ Labels: labels }) =>
    (filters.label ?? []).every(label => {
      const [name = "", value] = label.split("=");
      return value === undefined ? name in labels : labels[name] === value;
    }),
  );
}

const own = { "budgie.prefix": "budgie", "budgie.role": "backend", "budgie.stack": "dev" };

describe("the API's port", () => {
  it("that is free is no problem", async () => {
    const http = { address: "127.0.0.1", port: await freePort() };
    expect(await httpPortProblem(engine, "budgie", http)).toBeUndefined();
  });

  it("that another program holds is refused with the setting's name", async () => {
    const port = await freePort();
    await listening(createServer(), port);
    for (const address of ["127.0.0.1", "0.0.0.0"]) {
      expect(await httpPortProblem(engine, "budgie", { address, port })).toBe(
        [
          `Port ${port} of ${address}, on which the API is to be published, is taken by another program. Nothing was changed.`,
          "Stop it, or choose another port:",
          "  pulumi config set budgie:httpPort 8080",
        ].join("\n"),
      );
    }
  });

  it("that another container holds is refused with the container's name", async () => {
    const port = await freePort();
    containers = [container(port, { ...own, "budgie.prefix": "other" })];
    expect(await httpPortProblem(engine, "budgie", { address: "127.0.0.1", port })).toContain(
      "is taken by the container web.",
    );
  });

  it.each([true, false])(
    "that this stack's own API holds is no problem (listed by the engine: %s)",
    async listed => {
      const port = await freePort();
      containers = [container(port, own, listed)];
      await listening(createServer(), port);
      expect(await httpPortProblem(engine, "budgie", { address: "127.0.0.1", port })).toBeUndefined();
    },
  );
});

describe("a port below 1024", () => {
  it("is refused on an engine that an ordinary user runs, with both ways out", async () => {
    rootless = true;
    const problem = await httpPortProblem(engine, "budgie", { address: "127.0.0.1", port: 80 }, 1024);
    expect(problem).toContain("is closed to this container engine: it runs as an ordinary user");
    expect(problem).toContain("pulumi config set budgie:httpPort 8080");
    expect(problem).toContain("sudo sysctl net.ipv4.ip_unprivileged_port_start=80");
  });

  it("is no problem on root's engine", async () => {
    const problem = await httpPortProblem(engine, "budgie", { address: "127.0.0.1", port: 1 }, 1024);
    expect(problem).toBeUndefined();
  });
});

describe("the name prefix", () => {
  it("of another stack on the same engine is refused", async () => {
    containers = [container(80, own)];
    expect(await namePrefixProblem(engine, "budgie", "Prod_1")).toBe(
      [
        "The name prefix budgie belongs to the stack dev on this container engine. Nothing was changed.",
        "Give stack Prod_1 another one:",
        "  pulumi config set budgie:namePrefix budgie-prod-1",
      ].join("\n"),
    );
  });

  it("of this stack, or of none, is no problem", async () => {
    containers = [container(80, own)];
    expect(await namePrefixProblem(engine, "budgie", "dev")).toBeUndefined();
    expect(await namePrefixProblem(engine, "other", "prod")).toBeUndefined();
  });
});
