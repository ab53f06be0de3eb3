import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { isStopped } from "../../engine/stopped-container.ts";
import { containerName } from "../../shared/names.ts";
import { withDeadline } from "../../shared/with-deadline.ts";
import { type Login, logIn } from "../steps/database-login.ts";
import { describeBarriers, mayNotLogIn, readBarriers } from "../steps/role-barriers.ts";
import type { StackState } from "./stack-state.ts";

/** A server that was started a moment ago may have a log to replay. If that takes longer, the next step waits. */
const START_MS = 60_000;

/** A command in a container that is ending at this moment may never be answered. */
const ANSWER_WITHIN_MS = 30_000;

/** Whether the database takes its password, and if not, why as far as that is known. */
export interface Opening {
  opens: boolean;
  /** What `up` will do about it, for the operator. */
  notice?: string;
}

/**
 * Whether the database takes the password that the last `up` gave it. Nothing that Pulumi compares shows a change by
 * hand. It does where there is no such database: the `up` that makes one gives it the password. Never throws.
 */
export async function takesItsPassword(
  engine: Engine,
  state: StackState,
  namePrefix: string,
): Promise<Opening> {
  const login = engine.reachable && loginOfLastUp(state);
  return login ? opening(databaseOf(engine, namePrefix), login) : { opens: true };
}

/**
 * Starts the database and the backup agent where they are stopped, and says whether the database was. A stopped container
 * reads back without its ports, so Pulumi may be about to replace it, and the backup before that needs both. What does
 * not start is left to the update, which says why.
 */
export async function startStopped(engine: Engine, state: StackState, namePrefix: string): Promise<boolean> {
  const database = databaseOf(engine, namePrefix);
  const started = await start(database);
  await start(engineClient(engine.host).getContainer(containerName(namePrefix, "backup-agent")));
  const login = loginOfLastUp(state);
  if (!started || !login) return started;
  const until = Date.now() + START_MS;
  while (!(await opening(database, login)).opens && Date.now() < until) await sleep(250);
  return true;
}

/** What the step of the last `up` was given, which was proven to open. */
function loginOfLastUp(state: StackState): Login | undefined {
  const { stdin } = state.resource("command:local:Command", "database-ready")?.outputs ?? {};
  return typeof stdin === "string" ? (JSON.parse(stdin) as Login) : undefined;
}

function databaseOf({ host }: Engine, namePrefix: string): Docker.Container {
  return engineClient(host).getContainer(containerName(namePrefix, "database"));
}

/** What it does not know it does not call open: the step that runs again then says why. */
async function opening(container: Docker.Container, login: Login): Promise<Opening> {
  try {
    const { ok, answer } = await withDeadline(logIn(container, login), ANSWER_WITHIN_MS);
    if (ok || answer === undefined) return { opens: ok };
    const notice = await noticeOf(container, login, answer.stderr);
    return { opens: false, ...(notice === undefined ? {} : { notice }) };
  } catch (error) {
    return { opens: (error as { statusCode?: number }).statusCode === 404 };
  }
}

async function noticeOf(
  container: Docker.Container,
  login: Login,
  errors: string,
): Promise<string | undefined> {
  const { user } = login;
  if (!mayNotLogIn(errors) && !errors.includes("password authentication failed")) return undefined;
  const barriers = await readBarriers(container, login);
  const said = barriers === null ? [] : describeBarriers(user, barriers);
  if (said.length === 0)
    return `The password of ${user} was changed in the database. An \`up\` sets it again.`;
  const pause = barriers?.noLogin ? "; the database is stopped for a moment then" : "";
  return `${said.join(" ")} An \`up\` takes that back${pause}.`;
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
