import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../components/engine.ts";
import { httpPortProblem } from "../../components/http-port.ts";
import { freePort } from "../support/free-port.ts";

let folder: string;
let engine: Engine;
let containers: unknown[];
const servers: Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "budgie-engine-"));
  containers = [];
  const socket = join(folder, "engine.sock");
  await listening(
    createHttp((_, response) => response.end(JSON.stringify(containers))),
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

const published = (port: number, labels: Record<string, string> = {}) => ({
  Names: ["/web"],
  Labels: labels,
  Ports: [{ PublicPort: port, IP: "0.0.0.0" }],
});

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
    containers = [published(port, { "budgie.prefix": "other", "budgie.role": "backend" })];
    expect(await httpPortProblem(engine, "budgie", { address: "127.0.0.1", port })).toContain(
      "is taken by the container web.",
    );
  });

  it("that this stack's own API holds is no problem", async () => {
    const port = await freePort();
    containers = [published(port, { "budgie.prefix": "budgie", "budgie.role": "backend" })];
    await listening(createServer(), port);
    expect(await httpPortProblem(engine, "budgie", { address: "127.0.0.1", port })).toBeUndefined();
  });
});
