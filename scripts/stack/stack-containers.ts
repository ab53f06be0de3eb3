import type Docker from "dockerode";
import { type BackendService, backendServices } from "../../engine/backend-service.ts";
import { engineClient } from "../../engine/client.ts";
import { type Engine, findEngine, unreachable } from "../../engine/find-engine.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { ROLES, type Role } from "../../shared/names.ts";

const AT_WORK: readonly string[] = ["running", "restarting", "paused"];

/** One container of a stack, as the engine shows it by its labels. */
export interface StackContainer {
  role: Role;
  name: string;
  running: boolean;
  /** Whether there is something to stop: it runs, is paused, or is started by the engine over and over. */
  atWork: boolean;
  /** `Up 3 hours`, `Exited (0) 2 minutes ago`. */
  state: string;
  labels: Record<string, string>;
  engine: Engine["kind"];
  /** Of a service there is no such container, and the engine says so of whatever it is asked. */
  container: Docker.Container;
  /** Several backends, where a swarm runs them. They are started and stopped by their number. */
  service?: BackendService;
}

/** The containers of one stack. Nothing of another stack's is ever in it. */
export interface Stack {
  /** As Pulumi names it, e.g. dev. Two on one engine may share it; they do not share the prefix. */
  name: string;
  prefix: string;
  engine: Engine;
  containers: StackContainer[];
}

/**
 * Finds the stack that `wanted` names, or the only one that is there. Throws a Stop when no engine answers, when there is
 * no stack, and when there are several and none was named: guessing would be how one stack's command reaches another's data.
 */
export async function findStack(wanted: string | undefined): Promise<Stack> {
  return choose(await stacksOf(await reachableEngine()), wanted);
}

/** The container engine. Throws a Stop when it does not answer. */
export async function reachableEngine(): Promise<Engine> {
  const engine = await findEngine();
  if (engine.reachable) return engine;
  const [says = "", ...next] = unreachable(engine).split("\n");
  throw new Stop(
    EXIT.engineOrContainerMissing,
    says,
    // The other lines are of a setting, which a command does not read.
    engine.host.startsWith("ssh://") ? next.join("\n") : "Start the container engine, or set DOCKER_HOST.",
  );
}

/** Every stack that has a container on the engine. */
export async function stacksOf(engine: Engine): Promise<Stack[]> {
  const client = engineClient(engine.host);
  const listed = await client.listContainers({ all: true, filters: { label: [LABEL.role] } });
  const services = await backendServices(client, [LABEL.role]);
  const stacks = new Map<string, Stack>();
  const stackOf = (labels: Record<string, string>) => {
    const { [LABEL.stack]: name, [LABEL.prefix]: prefix } = labels;
    if (!name || !prefix) return undefined;
    const stack = stacks.get(prefix) ?? { name, prefix, engine, containers: [] };
    stacks.set(prefix, stack);
    return stack;
  };
  for (const info of listed) {
    const role = ROLES.find(known => known === info.Labels[LABEL.role]);
    const stack = role && stackOf(info.Labels);
    if (!stack) continue;
    stack.containers.push({
      role,
      name: (info.Names[0] ?? info.Id).replace(/^\//, ""),
      running: info.State === "running",
      atWork: AT_WORK.includes(info.State),
      state: info.Status,
      labels: info.Labels,
      engine: engine.kind,
      container: client.getContainer(info.Id),
    });
  }
  for (const service of services) {
    const stack = stackOf(service.labels);
    // While one backend becomes several, its container is there beside the service until the `up` ends.
    if (!stack) continue;
    const others = stack.containers.filter(({ role, running }) => role !== "backend" || running);
    stack.containers = [...others, asContainer(client, service, engine.kind)];
  }
  return [...stacks.values()];
}

function asContainer(client: Docker, service: BackendService, engine: Engine["kind"]): StackContainer {
  const { id, name, labels, wanted, running, update } = service;
  const under = update === "under way" ? ", an update is under way" : "";
  return {
    ...{ role: "backend", name, labels, engine, service },
    running: running > 0,
    atWork: wanted > 0,
    state: wanted === 0 ? "stopped" : `${running} of ${wanted} running${under}`,
    container: client.getContainer(id),
  };
}

/** Chooses among the stacks that are there, by name or by prefix. Throws a Stop as `findStack` says. */
export function choose(stacks: readonly Stack[], wanted: string | undefined): Stack {
  if (stacks.length === 0) {
    throw new Stop(
      EXIT.engineOrContainerMissing,
      "No Budgie stack is on this container engine.",
      "Bring one up: npm run up",
    );
  }
  const fitting = stacks.filter(
    ({ name, prefix }) => wanted === undefined || wanted === name || wanted === prefix,
  );
  const shown = stacks.map(({ name, prefix }) => `${name} (${prefix})`).sort();
  const [stack, another] = fitting;
  if (!stack) {
    throw new Stop(
      EXIT.usage,
      `There is no stack ${wanted} here; there is ${shown.join(", ")}.`,
      "Check the spelling, or DOCKER_HOST.",
    );
  }
  if (another) {
    const next =
      wanted === undefined ? `npx budgie --stack ${stack.name} …` : `npx budgie --stack ${stack.prefix} …`;
    throw new Stop(
      EXIT.usage,
      `There are several stacks here: ${shown.join(", ")}.`,
      `Say which one: ${next}`,
    );
  }
  const order = (container: StackContainer) => ROLES.indexOf(container.role);
  return { ...stack, containers: [...stack.containers].sort((a, b) => order(a) - order(b)) };
}

/** Whether the stack has an API. One that is a part of somebody's program need not. */
export function hasApi({ containers }: Stack): boolean {
  return !containers.some(({ labels }) => labels[LABEL.withoutApi] === "true");
}

/** Who runs the database where it is no container of the stack's own: `rds` or `aurora`. */
export function managedBy({ containers }: Pick<Stack, "containers">): string | undefined {
  return containers.map(({ labels }) => labels[LABEL.managed]).find(Boolean);
}

/**
 * What this stack is made of: a database unless Amazon runs it, an object store of its own only where its backups go to one, an API where
 * it was asked for.
 */
export function rolesOf(stack: Stack): Role[] {
  const { containers } = stack;
  const hasStore = containers.some(
    ({ role, labels }) => role === "object-store" || labels[LABEL.objectStore] === "local",
  );
  const has: Partial<Record<Role, boolean>> = {
    database: managedBy(stack) === undefined,
    "object-store": hasStore,
    backend: hasApi(stack),
  };
  return ROLES.filter(role => has[role] ?? true);
}

/** Throws a Stop where the database is meant and is Amazon's: nobody is to believe that it was started or stopped. */
export function requireHere(stack: Stack, roles: readonly Role[]): void {
  if (roles.includes("database") && managedBy(stack) !== undefined) containerOf(stack, "database", "present");
}

/** Throws a Stop when the stack has no such container, or when it must run and does not. */
export function containerOf(
  stack: Stack,
  role: Role,
  needs: "running" | "present" = "running",
): StackContainer {
  const found = stack.containers.find(container => container.role === role);
  const managed = managedBy(stack);
  if (!found && role === "database" && managed !== undefined) {
    throw new Stop(
      EXIT.usage,
      `The database of stack ${stack.name} is Amazon's (${managed}), so there is no container and no volume of it here.`,
      "What Amazon's console or `aws rds` does instead is in docs/managed-database.md; `npx budgie psql` works.",
    );
  }
  if (!found) {
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `The stack ${stack.name} has no ${role} container.`,
      "Bring it back: npm run up",
    );
  }
  if (needs === "running" && !found.running) {
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `The ${role} container ${found.name} is not running (${found.state}).`,
      "Start it with `npx budgie start`; `npx budgie logs` shows why it stopped.",
    );
  }
  return found;
}
