import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type Docker from "dockerode";
import { isLocal } from "../../engine/address.ts";
import { backendService } from "../../engine/backend-service.ts";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { engineTraits } from "../../engine/traits.ts";
import { LABEL, labelledAs } from "../../shared/labels.ts";
import type { Role } from "../../shared/names.ts";

/** A port of the engine's machine that one container of the stack is to be published on. */
export interface PublishedPort {
  /** What is published there, as a sentence has it. */
  what: "the API" | "the database" | "the status page" | "the database for its replicas";
  role: Extract<Role, "backend" | "database" | "backup-agent">;
  setting: "httpPort" | "databasePort" | "statusPort" | "replicationPort";
  address: string;
  port: number;
}

/** What the ways out suggest. */
const ANOTHER = { httpPort: 8080, databasePort: 5433, statusPort: 8618, replicationPort: 5435 } as const;

/**
 * Says who has taken the port; nothing when it is free, or when this stack's own container holds it. The port of an
 * engine on another machine cannot be tried from here: that engine itself says so later.
 */
export async function portProblem(
  engine: Engine,
  namePrefix: string,
  wanted: PublishedPort,
  firstOpen = firstOrdinaryPort(),
): Promise<string | undefined> {
  if (!isLocal(engine.host) || !engine.reachable) return undefined;
  const client = engineClient(engine.host);
  const { address, port, what, setting } = wanted;
  if (await ownHolds(client, namePrefix, wanted)) return undefined;
  const closed = await closedToRootless(engine, wanted, firstOpen);
  if (closed) return closed;
  const holder = (await client.listContainers()).find(({ Ports: ports }) =>
    ports.some(held => held.PublicPort === port && overlaps(held.IP, address)),
  );
  if (!holder && !(await isTaken(address, port))) return undefined;
  const who = holder ? `the container ${holder.Names[0]?.slice(1)}` : "another program";
  return [
    `Port ${port} of ${address}, on which ${what} is to be published, is taken by ${who}. Nothing was changed.`,
    "Stop it, or choose another port:",
    `  npm run pulumi -- config set budgie:${setting} ${ANOTHER[setting]}`,
  ].join("\n");
}

/** By what it was made with: between two restarts of a container that does not stay up, the engine lists no port. */
async function ownHolds(client: Docker, namePrefix: string, { role, port }: PublishedPort): Promise<boolean> {
  if (role === "backend" && (await backendService(client, namePrefix))?.port === port) return true;
  const label = [labelledAs(LABEL.prefix, namePrefix), labelledAs(LABEL.role, role)];
  // Not filtered by the engine: Podman answers 500 to a status that it does not know, and `restarting` is one.
  const listed = await client.listContainers({ all: true, filters: { label } });
  const own = listed.find(({ State: state }) => state === "running" || state === "restarting");
  if (!own) return false;
  const { HostConfig: made } = await client.getContainer(own.Id).inspect();
  const bindings = Object.values((made.PortBindings ?? {}) as Record<string, { HostPort: string }[] | null>);
  return bindings.some(list => list?.some(binding => binding.HostPort === String(port)));
}

/** An engine that an ordinary user runs opens ports as that user: from 1024 on, unless the machine was told otherwise. */
async function closedToRootless(
  engine: Engine,
  { port, what, setting }: PublishedPort,
  firstOpen: number,
): Promise<string | undefined> {
  if (port >= firstOpen || !(await engineTraits(engine)).rootless) return undefined;
  return [
    `Port ${port}, on which ${what} is to be published, is closed to this container engine: it runs as an ordinary user, and the first port of those is ${firstOpen}. Nothing was changed.`,
    "Choose another port, or open this one:",
    `  npm run pulumi -- config set budgie:${setting} ${ANOTHER[setting]}`,
    `  sudo sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
  ].join("\n");
}

/** Of Linux; 0 where there is no such limit, as for the virtual machine of an engine on macOS. */
function firstOrdinaryPort(): number {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  } catch {
    return 0;
  }
}

function overlaps(one: string | undefined, other: string): boolean {
  const everywhere = ["0.0.0.0", "::", "", undefined];
  return one === other || everywhere.includes(one) || everywhere.includes(other);
}

/** By listening there; where this user may not (ports below 1024), by connecting. */
async function isTaken(address: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, address);
  try {
    await once(server, "listening");
    server.close();
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") return true;
    return code === "EACCES" ? answers(address === "0.0.0.0" ? "127.0.0.1" : address, port) : false;
  }
}

async function answers(address: string, port: number): Promise<boolean> {
  const socket = connect({ host: address, port, timeout: 2_000 });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
