import { existsSync } from "node:fs";
import { contextHost, thisMachine, usualSockets } from "./address.ts";
import { engineClient, inTime, whyNoAnswer } from "./client.ts";

/** A container engine, as the stack, the toolchain and the operator's commands all see it. */
export interface Engine {
  /** `unix:///…`, `tcp://…` or `ssh://…`. */
  host: string;
  kind: "docker" | "podman";
  /** Whether it answered. A preview works without. */
  reachable: boolean;
  /** Why it did not answer, when it did not. */
  problem?: string;
}

const USUAL_SOCKET = "unix:///var/run/docker.sock";

/**
 * Finds the container engine: the setting, else DOCKER_HOST, else the current docker context, else the first of the usual
 * sockets that answers. The first three are taken at their word even when nothing answers there: another engine would have
 * other volumes. Never throws for an engine that is down; throws for a docker context that does not exist.
 */
export async function findEngine(setting?: string, surroundings = thisMachine()): Promise<Engine> {
  const named = setting || surroundings.environment.DOCKER_HOST || contextHost(surroundings);
  if (named) return probe(named);
  const candidates = usualSockets(surroundings).filter(path => existsSync(path));
  const engines: Engine[] = [];
  for (const path of candidates) {
    const engine = await probe(`unix://${path}`);
    if (engine.reachable) return engine;
    engines.push(engine);
  }
  return engines[0] ?? (await probe(USUAL_SOCKET));
}

/** What to tell an operator whose engine does not answer. */
export function unreachable(engine: Engine): string {
  const says = `No container engine answers at ${engine.host}${engine.problem ? ` (${engine.problem})` : ""}.`;
  if (engine.host.startsWith("ssh://"))
    return [
      says,
      "It is reached by your own ssh, without a question. See what that says, and take its host key if it is the right one:",
      `  ${sshLine(engine.host)}`,
    ].join("\n");
  return [
    says,
    "Start it (`systemctl start docker`, `podman machine start`), or name another one:",
    "  npm run pulumi -- config set budgie:engineHost unix:///var/run/docker.sock",
  ].join("\n");
}

function sshLine(host: string): string {
  const { hostname, port, username } = new URL(host);
  return `ssh ${port ? `-p ${port} ` : ""}${username ? `${username}@` : ""}${hostname} docker version`;
}

async function probe(host: string): Promise<Engine> {
  try {
    const version = await inTime(engineClient(host).version());
    const parts = (version as { Components?: { Name: string }[] }).Components ?? [];
    const podman = parts.some(part => /podman/i.test(part.Name));
    return { host, kind: podman ? "podman" : "docker", reachable: true };
  } catch (error) {
    const kind = /podman/.test(host) ? "podman" : "docker";
    return { host, kind, reachable: false, problem: whyNoAnswer(error) };
  }
}
