import { Stop } from "../../shared/exit-codes.ts";
import { END_SIGNALS } from "../../shared/interruption.ts";
import { loops, startContainer, startContainers, stopContainer } from "./containers.ts";
import type { Stack, StackContainer } from "./stack-containers.ts";

const say = (line: string) => process.stderr.write(`${line}\n`);

/**
 * Stops a backend that restarts in a loop. Its code may not fit the database, and would then change what was restored at
 * its next start. Returns the backend; null where it runs, or is stopped already.
 */
export async function holdLoopingBackend(stack: Stack): Promise<StackContainer | null> {
  const backend = stack.containers.find(({ role }) => role === "backend");
  if (!backend || !(await loops(backend))) return null;
  say(
    `[!] ${backend.name} ends by itself and restarts again and again. It is stopped for the restore, so that it changes nothing of what is restored`,
  );
  await stopContainer(backend);
  return { ...backend, running: false, atWork: false };
}

/**
 * For when nothing was restored. Does not wait until the backend serves, because it did not before. The error stays the
 * one that kept the restore from succeeding.
 */
export async function releaseAsItWas(backend: StackContainer): Promise<void> {
  const { name } = backend;
  try {
    await startContainer(backend);
    say(`[i] ${name} is started again, as it was before`);
  } catch (error) {
    say(`[!] ${name} could not be started again: ${(error as Error).message}. Try: npx budgie start backend`);
  }
}

/** For when the restore is done, before anyone starts the backend. */
export function warnOfUnfittingCode({ name }: StackContainer): void {
  say(
    `[!] ${name} kept ending by itself before the restore. Put the code back first that fits what was restored (git checkout, then npm run up): code of another version may change it again`,
  );
}

/**
 * Starts the backend, and stops it again where it does not serve: it would only go on as before. Throws the Stop that
 * says why.
 */
export async function startHeldBackend(stack: Stack, backend: StackContainer): Promise<void> {
  const containers = stack.containers.map(container => (container.role === "backend" ? backend : container));
  try {
    await startContainers({ ...stack, containers }, ["backend"]);
  } catch (error) {
    await stopContainer(backend);
    if (!(error instanceof Stop)) throw error;
    throw new Stop(
      error.code,
      `${error.message} It is stopped again; what it has done to the restored database is not known.`,
      "See why: npx budgie logs backend. Put the fitting code back with the backend stopped, run the restore again, then `npx budgie start backend`.",
    );
  }
}

export function leaveHeldBackend({ name }: StackContainer): void {
  say(`[i] ${name} stays stopped. With the fitting code in place: npx budgie start backend`);
}

/** A backend that is stopped for as long as something is done. */
export interface Hold {
  stoppedAt: number;
  /** Whether it is left stopped, however it ends. */
  stays: boolean;
}

/**
 * Runs `work` with the backend stopped. It is started again afterwards if it ran before, unless `work` says that it stays stopped. A
 * signal is heard by what `work` runs, and must not end this process before the backend is started again.
 */
export async function withHeldBackend(stack: Stack, work: (hold: Hold) => Promise<number>): Promise<number> {
  const backend = stack.containers.find(({ role }) => role === "backend");
  const hold: Hold = { stoppedAt: Date.now(), stays: false };
  const heed = () => undefined;
  for (const signal of END_SIGNALS) process.on(signal, heed);
  try {
    if (backend?.atWork) {
      say(`[i] Stopping ${backend.name}...`);
      await stopContainer(backend);
    }
    return await work(hold);
  } finally {
    if (!hold.stays && backend) await release(backend);
    for (const signal of END_SIGNALS) process.off(signal, heed);
  }
}

async function release(backend: StackContainer): Promise<void> {
  if (backend.atWork) return releaseAsItWas(backend);
  say(`[i] ${backend.name} was stopped before, and stays so. To start it: npx budgie start backend`);
}
