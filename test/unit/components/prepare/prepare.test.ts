import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sharedDirectoryProblem } from "../../../../components/prepare/backup-directory.ts";
import { namePrefixProblem } from "../../../../components/prepare/name-prefix.ts";
import { portProblem } from "../../../../components/prepare/published-port.ts";
import type { Engine } from "../../../../engine/find-engine.ts";
import { freePort } from "../../../support/servers/free-port.ts";

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
  if (url.pathname === "/services") return [];
  if (url.pathname !== "/containers/json") return containers[0];
  const filters = JSON.parse(url.searchParams.get("filters") ?? "{}") as { label?: string[] };
  return containers.filter(({ Labels: labels }) =>
    (filters.label ?? []).every(label => {
      const [name = "", value] = label.split("=");
      return value === undefined ? name in labels : labels[name] === value;
    }),
  );
}

const api = { what: "the API", role: "backend", setting: "httpPort", address: "127.0.0.1" } as const;
const database = { what: "the database", role: "database", setting: "databasePort" } as const;
const own = { "budgie.prefix": "budgie", "budgie.role": "backend", "budgie.stack": "dev" };

describe("the API's port", () => {
  it("that is free is no problem", async () => {
    expect(await portProblem(engine, "budgie", { ...api, port: await freePort() })).toBeUndefined();
  });

  it("that another program holds is refused with the setting's name", async () => {
    const port = await freePort();
    await listening(createServer(), port);
    for (const address of ["127.0.0.1", "0.0.0.0"]) {
      expect(await portProblem(engine, "budgie", { ...api, address, port })).toBe(
        [
          `Port ${port} of ${address}, on which the API is to be published, is taken by another program. Nothing was changed.`,
          "Stop it, or choose another port:",
          "  npm run pulumi -- config set budgie:httpPort 8080",
        ].join("\n"),
      );
    }
  });

  it("that another container holds is refused with the container's name", async () => {
    const port = await freePort();
    containers = [container(port, { ...own, "budgie.prefix": "other" })];
    expect(await portProblem(engine, "budgie", { ...api, port })).toContain("is taken by the container web.");
  });

  it.each([true, false])(
    "that this stack's own API holds is no problem (listed by the engine: %s)",
    async listed => {
      const port = await freePort();
      containers = [container(port, own, listed)];
      await listening(createServer(), port);
      expect(await portProblem(engine, "budgie", { ...api, port })).toBeUndefined();
    },
  );
});

describe("the database's port", () => {
  it("that another stack's database holds is refused with its container's name", async () => {
    const port = await freePort();
    containers = [container(port, { ...own, "budgie.prefix": "other", "budgie.role": "database" })];
    expect(await portProblem(engine, "budgie", { ...database, address: "127.0.0.1", port })).toBe(
      [
        `Port ${port} of 127.0.0.1, on which the database is to be published, is taken by the container web. Nothing was changed.`,
        "Stop it, or choose another port:",
        "  npm run pulumi -- config set budgie:databasePort 5433",
      ].join("\n"),
    );
  });

  it("that this stack's own database holds is no problem, and its own API is in the way", async () => {
    const port = await freePort();
    containers = [container(port, { ...own, "budgie.role": "database" })];
    await listening(createServer(), port);
    const wanted = { ...database, address: "127.0.0.1", port };
    expect(await portProblem(engine, "budgie", wanted)).toBeUndefined();
    containers = [container(port, own)];
    expect(await portProblem(engine, "budgie", wanted)).toContain("is taken by the container web.");
  });
});

describe("the backup directory", () => {
  const agent = (directory: string) => ({
    "budgie.prefix": "budgie",
    "budgie.role": "backup-agent",
    "budgie.stack": "dev",
    "budgie.backup-dir": directory,
  });

  it("of another stack on the same engine is refused, with one to take instead", async () => {
    containers = [container(80, agent(join(folder, "backups")))];
    expect(await sharedDirectoryProblem(engine, "budgie-prod", join(folder, "backups"))).toBe(
      [
        `The backup directory ${folder}/backups is that of the stack dev (budgie) on this container engine. Nothing was changed.`,
        "Give this stack one of its own:",
        "  npm run pulumi -- config set budgie:backupDir ./backups-budgie-prod",
      ].join("\n"),
    );
  });

  it("is known by any path that leads to it, also before it exists", async () => {
    symlinkSync(folder, join(folder, "link"));
    containers = [container(80, agent(join(folder, "backups")))];
    const problem = await sharedDirectoryProblem(engine, "budgie-prod", join(folder, "link", "backups"));
    expect(problem).toContain("is that of the stack dev (budgie)");
  });

  it("of this stack, or of none, is no problem", async () => {
    containers = [container(80, agent(join(folder, "backups")))];
    expect(await sharedDirectoryProblem(engine, "budgie", join(folder, "backups"))).toBeUndefined();
    expect(await sharedDirectoryProblem(engine, "budgie-prod", join(folder, "others"))).toBeUndefined();
  });
});

describe("a port below 1024", () => {
  it("is refused on an engine that an ordinary user runs, with both ways out", async () => {
    rootless = true;
    const problem = await portProblem(engine, "budgie", { ...api, port: 80 }, 1024);
    expect(problem).toContain("is closed to this container engine: it runs as an ordinary user");
    expect(problem).toContain("npm run pulumi -- config set budgie:httpPort 8080");
    expect(problem).toContain("sudo sysctl net.ipv4.ip_unprivileged_port_start=80");
  });

  it("is no problem on root's engine", async () => {
    const problem = await portProblem(engine, "budgie", { ...api, port: 1 }, 1024);
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
        "  npm run pulumi -- config set budgie:namePrefix budgie-prod-1",
      ].join("\n"),
    );
  });

  it("of this stack, or of none, is no problem", async () => {
    containers = [container(80, own)];
    expect(await namePrefixProblem(engine, "budgie", "dev")).toBeUndefined();
    expect(await namePrefixProblem(engine, "other", "prod")).toBeUndefined();
  });
});
