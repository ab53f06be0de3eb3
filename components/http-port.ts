import { once } from "node:events";
import { connect, createServer } from "node:net";
import type Docker from "dockerode";
import { type Engine, engineClient, isLocal } from "./engine.ts";

/**
 * Says who stands in the way when the API's port is taken, and nothing when it is free, or held by this stack's own API.
 * The port of an engine on another machine cannot be tried from here; the engine itself then says so.
 */
export async function httpPortProblem(
  engine: Engine,
  namePrefix: string,
  http: { address: string; port: number },
): Promise<string | undefined> {
  if (!isLocal(engine.host) || !engine.reachable) return undefined;
  const client = engineClient(engine.host);
  if (await ownApiHolds(client, namePrefix, http.port)) return undefined;
  const holder = (await client.listContainers()).find(({ Ports: ports }) =>
    ports.some(port => port.PublicPort === http.port && overlaps(port.IP, http.address)),
  );
  if (!holder && !(await isTaken(http.address, http.port))) return undefined;
  const who = holder ? `the container ${holder.Names[0]?.slice(1)}` : "another program";
  return [
    `Port ${http.port} of ${http.address}, on which the API is to be published, is taken by ${who}. Nothing was changed.`,
    "Stop it, or choose another port:",
    "  pulumi config set budgie:httpPort 8080",
  ].join("\n");
}

/** By what it was made with: between two restarts of an API that does not stay up, the engine lists no port. */
async function ownApiHolds(client: Docker, namePrefix: string, port: number): Promise<boolean> {
  const label = [`budgie.prefix=${namePrefix}`, "budgie.role=backend"];
  const [own] = await client.listContainers({
    filters: { label, status: ["running", "restarting"] },
  });
  if (!own) return false;
  const { HostConfig: made } = await client.getContainer(own.Id).inspect();
  const bindings = Object.values((made.PortBindings ?? {}) as Record<string, { HostPort: string }[] | null>);
  return bindings.some(list => list?.some(binding => binding.HostPort === String(port)));
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
