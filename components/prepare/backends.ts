import { backendService, stopBackends } from "../../engine/backend-service.ts";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { STOP_WITHIN_SECONDS } from "../../engine/stop-line.ts";
import { engineTraits } from "../../engine/traits.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import type { Settings } from "../../settings.ts";
import { connectionsNeeded, poolOfEach, RESERVED_CONNECTIONS } from "../../shared/connections.ts";
import { LABEL } from "../../shared/labels.ts";
import { containerName, DATABASE_USER } from "../../shared/names.ts";

const ONE = "  npm run pulumi -- config set budgie:backends 1";

/** Why the engine cannot run so many backends; nothing where it can, or does not answer. */
export async function backendsProblem(
  engine: Engine,
  { backends, backend }: Settings,
): Promise<string | undefined> {
  if (backends === 1 || backend.from === "none" || !engine.reachable) return undefined;
  const asked = `budgie:backends is ${backends}, and several backends need a Docker swarm`;
  if (engine.kind === "podman")
    return [
      `${asked}. The container engine at ${engine.host} is Podman, which has none. Nothing was changed.`,
      "Go back to one, or name an engine that is Docker (budgie:engineHost):",
      ONE,
    ].join("\n");
  const { swarm } = await engineTraits(engine);
  if (swarm.is === "manager") return undefined;
  if (swarm.is === "worker")
    return [
      `${asked}. The engine at ${engine.host} is a worker of one, and only a manager can be told what to run. Nothing was changed.`,
      "Promote it, on a manager, or go back to one backend:",
      `  docker node promote ${swarm.id}`,
      ONE,
    ].join("\n");
  return [
    `${asked}. The engine at ${engine.host} is in none. Nothing was changed.`,
    "Make it one, of this machine alone, or go back to one backend:",
    `  docker ${engine.host.startsWith("unix:///var/run/docker.sock") ? "" : `--host ${engine.host} `}swarm init`,
    ONE,
  ].join("\n");
}

/** Where somebody has lowered `max_connections` of the database that runs. */
export async function connectionsProblem(
  engine: Engine,
  { backends, backend, namePrefix }: Settings,
): Promise<string | undefined> {
  if (backends === 1 || backend.from === "none" || !engine.reachable) return undefined;
  const database = engineClient(engine.host).getContainer(containerName(namePrefix, "database"));
  const ask = ["-XAtq", "-U", DATABASE_USER, "-d", "postgres", "-c", "SHOW max_connections"];
  const answer = await unlessMissing(psqlIfRunning(database, ask));
  // One that does not answer is for the steps that need it to judge.
  if (answer?.code !== 0) return undefined;
  const there = Number(answer.stdout.trim());
  const needed = connectionsNeeded(backends);
  if (!Number.isInteger(there) || there >= needed) return undefined;
  return [
    `budgie:backends is ${backends}: they need ${needed} connections to the database, ${poolOfEach(backends)} each, with one more while an update runs, and ${RESERVED_CONNECTIONS} for backups and operators. The database has ${there} (max_connections). Nothing was changed.`,
    "Give it more and start it again, or have fewer backends:",
    `  npx budgie psql -- -c "ALTER SYSTEM SET max_connections = ${needed}"`,
    "  npx budgie restart db",
    ONE,
  ].join("\n");
}

/** Only a stack with several has one: its node of the swarm has the image. A preview without the engine is not about that one. */
export async function severalBackends(
  engine: Engine,
  { backends, backend }: Settings,
): Promise<{ backends: number; node: string } | undefined> {
  if (backends === 1 || backend.from === "none") return undefined;
  const node = engine.reachable ? (await engineTraits(engine)).swarm.id : "";
  return { backends, node: node || "not-in-a-swarm" };
}

/** Whether the stack's backends are a service that was stopped: Pulumi sees no difference without a refresh. */
export async function backendsStopped(engine: Engine, namePrefix: string): Promise<boolean> {
  const service = await backendService(engineClient(engine.host), namePrefix);
  return service?.wanted === 0;
}

/**
 * One backend and several cannot have one port, and Pulumi removes the old only once the new is there. So the old is stopped, and removed
 * by Pulumi at the end. When the `up` fails in between, the same `up` goes on, and the setting's old value brings back what was.
 */
export async function makeWayForBackends(engine: Engine, { backends, namePrefix }: Settings): Promise<void> {
  const client = engineClient(engine.host);
  if (backends > 1) {
    const container = client.getContainer(containerName(namePrefix, "backend"));
    const made = await unlessMissing(container.inspect());
    if (made?.State.Running && made.Config.Labels[LABEL.prefix] === namePrefix)
      await container.stop({ t: STOP_WITHIN_SECONDS });
    return;
  }
  const service = await backendService(client, namePrefix);
  if (service && service.wanted > 0) await stopBackends(service);
}
