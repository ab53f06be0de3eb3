import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import {
  type BackendService,
  backendContainers,
  backendsLoop,
  lookAgain,
  scaleBackends,
  stopBackends,
} from "../../engine/backend-service.ts";
import { containerLog } from "../../engine/container-log.ts";
import { psqlIfRunning } from "../../engine/psql-in-container.ts";
import { STOP_WITHIN_SECONDS } from "../../engine/stop-line.ts";
import { apiProblem } from "../../shared/api-health.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { type Role, serviceName } from "../../shared/names.ts";
import { readableLine } from "../terminal/readable-log.ts";
import { databaseLogin } from "./database-login.ts";
import { requireOnlyServer } from "./only-server.ts";
import { restartsInALoop } from "./restart-loop.ts";
import { containerOf, requireHere, rolesOf, type Stack, type StackContainer } from "./stack-containers.ts";

const READY_WITHIN_MS = 120_000;
/** The engine's answer for a container that is already as it is asked to be. */
const ALREADY_SO = 304;

const WHAT_UP_SAYS = "`npm run pulumi -- up` says what that means, and the way on.";

const say = (line: string) => process.stderr.write(`${line}\n`);

/** Starts what is stopped, the database first, and returns only when all of it serves. Throws a Stop otherwise. */
export async function startContainers(stack: Stack, roles: readonly Role[] = rolesOf(stack)): Promise<void> {
  requireHere(stack, roles);
  for (const role of rolesOf(stack).filter(known => roles.includes(known))) {
    const target = containerOf(stack, role, "present");
    if (await isShort(target)) {
      if (role === "database") await requireOnlyServer(stack);
      say(`[i] Starting ${target.name}...`);
      await startContainer(target);
    }
    await requireReady(target);
    say(`[✓] ${target.name} is ready`);
  }
}

/** Stops in the reverse order, each with time to end by itself. Deletes nothing. */
export async function stopContainers(stack: Stack, roles: readonly Role[] = rolesOf(stack)): Promise<void> {
  requireHere(stack, roles);
  for (const role of rolesOf(stack)
    .reverse()
    .filter(known => roles.includes(known))) {
    const target = containerOf(stack, role, "present");
    if (!target.atWork && !(await startsByItself(target))) continue;
    say(`[i] Stopping ${target.name}...`);
    await stopContainer(target);
    say(`[✓] ${target.name} is stopped`);
  }
}

const STOP_TRIES = 20;
const STAYS_MS = 2_000;

/**
 * Whether it starts without being asked to. Podman shows a container that ends again and again as one that has ended, between two starts,
 * and then there is nothing to stop.
 */
async function startsByItself({ container, service, engine }: StackContainer): Promise<boolean> {
  if (service || engine !== "podman") return false;
  const { State: before } = await container.inspect();
  // It ended well, as one does that was stopped.
  if (!before.Running && before.ExitCode === 0) return false;
  await delay(STAYS_MS);
  const { State: now } = await container.inspect();
  return now.Running || now.StartedAt !== before.StartedAt;
}

function doesNotStay({ name }: StackContainer): Stop {
  return new Stop(
    EXIT.failed,
    `${name} ends by itself, and Podman starts it again and again: it could not be stopped.`,
    `Try it by hand, more than once: podman stop ${name}`,
  );
}

/** Starts it as it is, and does not wait for it. Several backends become as many as the stack has declared. */
export async function startContainer(target: StackContainer): Promise<void> {
  if (target.service) return scaleBackends(target.service, target.service.declared);
  if (target.atWork) await unpause(target);
  await target.container.start().catch(unlessAlreadySo);
}

/** Whether there is something to start. Several backends may be fewer than they should be. */
async function isShort({ service, running }: StackContainer): Promise<boolean> {
  if (!service) return !running;
  const { wanted, declared } = await lookAgain(service);
  return wanted < declared;
}

/** Gives it time to end by itself. One that has ended meanwhile is what was asked for. */
export async function stopContainer(target: StackContainer): Promise<void> {
  if (target.service) return stopBackends(target.service);
  // What is paused hears no signal.
  await unpause(target);
  for (let tries = 0; ; tries++) {
    await target.container.stop({ t: STOP_WITHIN_SECONDS }).catch(unlessAlreadySo);
    if (!(await startsByItself(target))) return;
    if (tries === STOP_TRIES) throw doesNotStay(target);
  }
}

async function unpause({ container }: StackContainer): Promise<void> {
  if ((await container.inspect()).State.Paused) await container.unpause();
}

function unlessAlreadySo(error: { statusCode?: number }): void {
  if (error.statusCode !== ALREADY_SO) throw error;
}

export async function restartContainers(
  stack: Stack,
  roles: readonly Role[] = rolesOf(stack),
): Promise<void> {
  await stopContainers(stack, roles);
  const stopped = stack.containers.map(container => ({
    ...container,
    running: container.running && !roles.includes(container.role),
    atWork: container.atWork && !roles.includes(container.role),
  }));
  await startContainers({ ...stack, containers: stopped }, roles);
}

async function requireReady(target: StackContainer): Promise<void> {
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  let why = await notReady(target);
  while (why !== null) {
    if (await loops(target)) {
      throw new Stop(
        EXIT.failed,
        `${target.name} ends by itself, and is started again and again. Its log ends with:\n${await lastLines(target)}`,
        target.role === "database" ? WHAT_UP_SAYS : `See more: npx budgie logs ${serviceName(target.role)}`,
      );
    }
    if (Date.now() > giveUpAt) {
      throw new Stop(
        EXIT.failed,
        `${target.name} was started, but does not serve after ${READY_WITHIN_MS / 1000} seconds: ${why}.`,
        `See why: npx budgie logs ${serviceName(target.role)}`,
      );
    }
    await delay(300);
    why = await notReady(target);
  }
}

/** Whether it ends by itself and is started again, over and over. */
export async function loops({ container, service }: StackContainer): Promise<boolean> {
  if (service) return backendsLoop(service);
  return restartsInALoop(await container.inspect(), new Date());
}

/** What is asked for its log: of several backends each. */
export async function logged({
  name,
  container,
  service,
}: StackContainer): Promise<{ name: string; container: Docker.Container }[]> {
  return service ? backendContainers(service) : [{ name, container }];
}

async function lastLines(target: StackContainer): Promise<string> {
  const asked = await logged(target);
  const logs = await Promise.all(asked.map(({ container }) => containerLog(container, { tail: 8 })));
  return logs.join("").trimEnd().split("\n").map(readableLine).join("\n");
}

/** Why it does not serve yet; null when it does. */
async function notReady(target: StackContainer): Promise<string | null> {
  if (target.service) return severalNotReady(target.service);
  const { State: state } = await target.container.inspect();
  if (!state.Running) return `it is ${state.Status}`;
  if (target.role === "database") return databaseNotReady(target);
  const url = target.role === "backend" ? target.labels[LABEL.url] : undefined;
  return url ? apiProblem(url) : null;
}

async function severalNotReady(known: BackendService): Promise<string | null> {
  const { running, wanted, labels } = await lookAgain(known);
  if (running < wanted || wanted === 0) return `${running} of ${wanted} run`;
  const url = labels[LABEL.url];
  return url ? apiProblem(url) : null;
}

/** Over TCP: on the socket, the image's temporary first-start server answers too. */
async function databaseNotReady({ container }: StackContainer): Promise<string | null> {
  const args = ["-X", "-h", "127.0.0.1", ...(await databaseLogin(container)), "-c", "SELECT 1"];
  try {
    const answer = await psqlIfRunning(container, args);
    if (answer === undefined) return "it does not run";
    return answer.code === 0 ? null : answer.stderr.trim() || `exit code ${answer.code}`;
  } catch (error) {
    return (error as Error).message;
  }
}
