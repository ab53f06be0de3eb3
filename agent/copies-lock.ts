import { join } from "node:path";
import { type LockOptions, lock } from "proper-lockfile";
import { EXIT, Stop } from "./exit-codes.ts";
import { readOffsiteState, shownHolder } from "./offsite-state.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";

/** A holder that has not shown itself for this long was killed. */
const STALE_MS = 6000;
const ASK_EVERY_MS = 500;
const PATIENCE_MS = 15 * 60_000;

/**
 * One at a time sends copies or fetches them, so that nothing is sent twice and no two write into one manifest. It is not the
 * database's lock: copies are sent while the database is away, and hours of sending hold off no backup. Should it fail, as
 * after the machine slept, what is sent twice is the same bytes under the same key.
 *
 * Waits for another holder, and says whom; throws a Stop after 15 minutes.
 */
export async function withCopiesLock<T>(
  settings: AgentSettings,
  report: Reporter,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const release = await acquire(settings, report, () =>
    abort.abort(
      new Stop(
        EXIT.busy,
        "Another command took over sending copies.",
        "`npx budgie status` shows how it went.",
      ),
    ),
  );
  try {
    return await work(abort.signal);
  } finally {
    await release().catch(() => undefined);
  }
}

async function acquire(
  settings: AgentSettings,
  report: Reporter,
  onCompromised: () => void,
): Promise<() => Promise<void>> {
  const lockfilePath = join(settings.backupDir, `.offsite-${settings.stack}.lock`);
  const options: LockOptions = {
    realpath: false,
    lockfilePath,
    stale: STALE_MS,
    update: 2000,
    onCompromised,
  };
  const take = (retries: LockOptions["retries"]) =>
    lock(settings.backupDir, { ...options, retries: retries ?? 0 });
  const patience = {
    retries: PATIENCE_MS / ASK_EVERY_MS,
    minTimeout: ASK_EVERY_MS,
    maxTimeout: ASK_EVERY_MS,
  };
  try {
    return await take(0).catch(async error => {
      if (!isHeld(error)) throw error;
      report.info(
        `Waiting for ${shownHolder(await readOffsiteState(settings))}, which sends copies at the moment`,
      );
      return take(patience);
    });
  } catch (error) {
    throw isHeld(error) ? await stillHeld(settings) : cannotLock(settings, error as Error);
  }
}

function isHeld(error: unknown): boolean {
  return (error as { code?: string }).code === "ELOCKED";
}

async function stillHeld(settings: AgentSettings): Promise<Stop> {
  return new Stop(
    EXIT.busy,
    `${shownHolder(await readOffsiteState(settings))}, still sends copies.`,
    "What is missing is sent next, by itself; `npx budgie status` shows how it stands.",
  );
}

function cannotLock(settings: AgentSettings, error: Error): Stop {
  return new Stop(
    EXIT.failed,
    `The lock for sending copies could not be taken in ${settings.backupDirShown}: ${error.message}.`,
    "See that there is space left, then run `npx budgie push`.",
  );
}
