import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { type Login, logIn } from "./database-login.ts";
import { type Engine, engineClient } from "./engine.ts";
import type { OwnState } from "./own-state.ts";
import { isStopped } from "./stopped-container.ts";

/** A server that was started a moment ago may have a log to replay. What takes longer is the next step's to wait for. */
const START_MS = 60_000;

/**
 * Whether the database takes the password that the last `up` gave it. When somebody changed it by hand, nothing that Pulumi
 * compares shows it. True where there is no such database: an `up` that makes one gives it the password. Never throws.
 */
export async function takesItsPassword(
  engine: Engine,
  state: OwnState,
  namePrefix: string,
): Promise<boolean> {
  const login = engine.reachable && loginOfLastUp(state);
  return !login || (await opens(databaseOf(engine, namePrefix), login));
}

/**
 * Starts the database and the backup agent where they are stopped, and says whether the database was. Pulumi may be about to
 * replace them for just that (a stopped container reads back without its ports), and the backup that comes before takes both.
 * What does not start is left to the update, which says why.
 */
export async function startStopped(engine: Engine, state: OwnState, namePrefix: string): Promise<boolean> {
  const database = databaseOf(engine, namePrefix);
  const started = await start(database);
  await start(engineClient(engine.host).getContainer(`${namePrefix}-backup`));
  const login = loginOfLastUp(state);
  if (!started || !login) return started;
  const until = Date.now() + START_MS;
  while (!(await opens(database, login)) && Date.now() < until) await sleep(250);
  return true;
}

/** What the step of the last `up` was given, which was proven to open. */
function loginOfLastUp(state: OwnState): Login | undefined {
  const { stdin } = state.resource("command:local:Command", "database-ready")?.outputs ?? {};
  return typeof stdin === "string" ? (JSON.parse(stdin) as Login) : undefined;
}

function databaseOf({ host }: Engine, namePrefix: string): Docker.Container {
  return engineClient(host).getContainer(`${namePrefix}-db`);
}

/** What it does not know it does not call open: the step that runs again then says why. */
async function opens(container: Docker.Container, login: Login): Promise<boolean> {
  try {
    return (await logIn(container, login)).ok;
  } catch (error) {
    return (error as { statusCode?: number }).statusCode === 404;
  }
}

/** Whether it was stopped and runs now. */
async function start(container: Docker.Container): Promise<boolean> {
  try {
    if (!(await isStopped(container))) return false;
    await container.start();
    return true;
  } catch {
    return false;
  }
}
