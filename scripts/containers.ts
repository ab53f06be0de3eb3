import { setTimeout as delay } from "node:timers/promises";
import { EXIT, Stop } from "../agent/exit-codes.ts";
import { httpStatus } from "../components/http-status.ts";
import { collectFromContainer } from "./run-in-container.ts";
import { containerOf, type Role, rolesOf, type Stack, type StackContainer } from "./stack-containers.ts";

/** PostgreSQL writes everything down before it ends; killed earlier, it must recover at its next start. */
const STOP_WITHIN_SECONDS = 90;
const READY_WITHIN_MS = 120_000;

const say = (line: string) => process.stderr.write(`${line}\n`);

/** Starts what is stopped, the database first, and returns only when all of it serves. Throws a Stop otherwise. */
export async function startContainers(stack: Stack, roles: readonly Role[] = rolesOf(stack)): Promise<void> {
  for (const role of rolesOf(stack).filter(known => roles.includes(known))) {
    const target = containerOf(stack, role, "present");
    if (!target.running) {
      say(`[i] Starting ${target.name}...`);
      await target.container.start();
    }
    await requireReady(target);
    say(`[✓] ${target.name} is ready`);
  }
}

/** Stops in the reverse order, each with time to end by itself. Deletes nothing. */
export async function stopContainers(stack: Stack, roles: readonly Role[] = rolesOf(stack)): Promise<void> {
  for (const role of rolesOf(stack)
    .reverse()
    .filter(known => roles.includes(known))) {
    const target = containerOf(stack, role, "present");
    if (!target.running) continue;
    say(`[i] Stopping ${target.name}...`);
    await target.container.stop({ t: STOP_WITHIN_SECONDS });
    say(`[✓] ${target.name} is stopped`);
  }
}

export async function restartContainers(
  stack: Stack,
  roles: readonly Role[] = rolesOf(stack),
): Promise<void> {
  await stopContainers(stack, roles);
  const stopped = stack.containers.map(container => ({
    ...container,
    running: container.running && !roles.includes(container.role),
  }));
  await startContainers({ ...stack, containers: stopped }, roles);
}

async function requireReady(target: StackContainer): Promise<void> {
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  let why = await notReady(target);
  while (why !== null) {
    if (Date.now() > giveUpAt) {
      throw new Stop(
        EXIT.failed,
        `${target.name} was started, but does not serve after ${READY_WITHIN_MS / 1000} seconds: ${why}.`,
        `See why: npx budgie logs ${target.role}`,
      );
    }
    await delay(300);
    why = await notReady(target);
  }
}

/** Why it does not serve yet; null when it does. */
async function notReady(target: StackContainer): Promise<string | null> {
  const { State: state } = await target.container.inspect();
  if (!state.Running) return `it is ${state.Status}`;
  if (target.role === "database") return databaseNotReady(target);
  if (target.role === "backend") return backendNotReady(target.labels["budgie.url"]);
  return null;
}

/** Over TCP: on the socket, the image's temporary first-start server answers too. */
async function databaseNotReady({ container }: StackContainer): Promise<string | null> {
  const query = 'psql --no-psqlrc -h 127.0.0.1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "SELECT 1"';
  try {
    const { code, stderr } = await collectFromContainer(container, ["sh", "-c", query]);
    return code === 0 ? null : stderr.trim() || `exit code ${code}`;
  } catch (error) {
    return (error as Error).message;
  }
}

async function backendNotReady(url: string | undefined): Promise<string | null> {
  if (!url) return null;
  try {
    const status = await httpStatus(`${url}/health`);
    return status === 200 ? null : `${url}/health answers ${status}`;
  } catch (error) {
    return `${url}/health does not answer (${(error as Error).message})`;
  }
}
