import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { untilAnswered } from "../base/until.ts";
import { type Kept, recordFailed, recordRun } from "../catalogue/last-run.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { type Lock, lockHolder, withLock } from "../server/database-lock.ts";
import { clearLeftovers, findLeftovers } from "./leftovers.ts";

const ASK_AGAIN_MS = 5000;

export interface Operation {
  /** Under which kind it is remembered how it ended. */
  kind: Kept;
  /** What the status calls it. */
  name: string;
  /** What others are told that find the lock taken. @default the name */
  shown?: string;
}

/**
 * Runs `work` under the lock, and keeps how it ended. Clears away first what killed operations have left. One that finds another at
 * work throws a Stop at once, and has not run at all. One that cannot reach the server has failed.
 */
export async function operate<T>(
  settings: AgentSettings,
  { kind, name, shown = name }: Operation,
  report: Reporter,
  work: (lock: Lock) => Promise<T>,
): Promise<T> {
  let held = false;
  try {
    return await withLock(settings, shown, lock => {
      held = true;
      return recordRun(settings, kind, name, async () => {
        await clearLeftovers(lock.session, settings, report);
        return work(lock);
      });
    });
  } catch (error) {
    const busy = error instanceof Stop && error.code === EXIT.busy;
    if (!held && !busy) await recordFailed(settings, kind, name, error);
    throw error;
  }
}

/**
 * For the start of the agent: clears away what killed operations have left, once the server answers. Takes the lock only where
 * there is something. Whoever has the lock clears it away. Never throws.
 */
export async function clearAtStart(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  await untilAnswered(() => clearOnce(settings, report), ASK_AGAIN_MS, signal).catch(() => undefined);
}

/** Null when the server could not be asked. */
async function clearOnce(settings: AgentSettings, report: Reporter): Promise<true | null> {
  try {
    const left = await lookForLeftovers(settings);
    if (left.length > 0)
      await withLock(settings, "tidying up", lock => clearLeftovers(lock.session, settings, report));
    return true;
  } catch (error) {
    return error instanceof Stop && error.code === EXIT.busy ? true : null;
  }
}

async function lookForLeftovers(settings: AgentSettings): Promise<string[]> {
  const session = await connectToMaintenance(settings, "budgie tidying up");
  try {
    return (await lockHolder(session)) === null ? await findLeftovers(session, settings) : [];
  } finally {
    await session.end();
  }
}
