import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { ignoreSignals } from "../base/interruption.ts";
import { timestamp } from "../manifest/backup-name.ts";
import { connectToMaintenance, databaseExists } from "../server/connection.ts";
import type { Lock } from "../server/database-lock.ts";
import { endSessionsIn, sessionsThatStay } from "../server/end-sessions.ts";

const { escapeIdentifier } = pg;

/** How long clients that keep reconnecting may hold a swap off. */
const PATIENCE_MS = 60_000;

/** PostgreSQL's code for "being accessed by other users". */
const OBJECT_IN_USE = "55006";

export function previousName(database: string, at: Date): string {
  return `${database}_before_${timestamp(at)}`;
}

/**
 * Puts `incoming` in the place of `live` in one transaction, and sets the old one aside as `previous` (null where there is none). The renames' own locks hold newcomers off, so a kill leaves no state in between: before COMMIT the old database
 * serves, after it the new one. Nothing is deleted.
 *
 * A rename waits five seconds for the sessions in its database to end, while it holds its lock. Meanwhile `helper`, a second
 * session, ends them. If they were ended earlier, they would be back before the lock is taken.
 */
async function swap(
  { session, lost }: Lock,
  helper: pg.Client,
  live: string,
  incoming: string,
  previous: string | null,
): Promise<void> {
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    const stopEnding = keepEndingSessions(helper, previous === null ? [incoming] : [live, incoming]);
    try {
      await rename(session, live, incoming, previous);
      // What is left is to tell it. Ended now, it would look as if nothing had been done.
      ignoreSignals();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== OBJECT_IN_USE) throw error;
      lost.throwIfAborted();
      if (Date.now() > giveUpAt) {
        await requireAllEndable(helper, live);
        throw new Stop(
          EXIT.failed,
          `Clients kept reconnecting to ${previous === null ? incoming : live} for ${PATIENCE_MS / 1000} seconds, so no database got another name; the old one serves on.`,
          "Stop the backend with `npx budgie stop backend`, run the same command again, then `npx budgie start`.",
        );
      }
    } finally {
      await stopEnding();
    }
  }
}

/** Swaps on the session that holds the lock: without the lock there is no swap. */
export async function swapIn(settings: AgentSettings, lock: Lock, incoming: string): Promise<string | null> {
  const helper = await connectToMaintenance(settings, "budgie swap");
  try {
    lock.lost.throwIfAborted();
    const { session } = lock;
    const live = settings.database;
    const previous = (await databaseExists(session, live)) ? await freePreviousName(session, live) : null;
    await swap(lock, helper, live, incoming, previous);
    return previous;
  } finally {
    await helper.end().catch(() => undefined);
  }
}

/**
 * Gives the candidate a name that no database has. It has then nothing more to do with the live one. Fails where the name was
 * taken meanwhile: a rename replaces nothing.
 */
export async function nameCandidate(
  settings: AgentSettings,
  lock: Lock,
  candidate: string,
  name: string,
): Promise<void> {
  const helper = await connectToMaintenance(settings, "budgie swap");
  try {
    lock.lost.throwIfAborted();
    await swap(lock, helper, name, candidate, null);
  } finally {
    await helper.end().catch(() => undefined);
  }
}

async function freePreviousName(session: pg.Client, live: string): Promise<string> {
  for (;;) {
    const name = previousName(live, new Date());
    if (!(await databaseExists(session, name))) return name;
    await delay(100);
  }
}

/** Throws a Stop for a session that the role may not end: a superuser's, on a server that Amazon runs. */
async function requireAllEndable(helper: pg.Client, live: string): Promise<void> {
  const [session] = await sessionsThatStay(helper, live);
  if (session === undefined) return;
  throw new Stop(
    EXIT.busy,
    `${session.user} is connected to ${live} (pid ${session.pid}, ${session.application || "no name"}), and this role may not end a superuser's session. So no database got another name; the old one serves on.`,
    "Have that session end, then run the same command again.",
  );
}

/** Ends the databases' sessions again and again, until the returned function is called. */
function keepEndingSessions(helper: pg.Client, databases: string[]): () => Promise<void> {
  let goOn = true;
  const ending = (async () => {
    while (goOn) {
      await endSessionsIn(helper, databases);
      await delay(50);
    }
  })();
  // If the helper is lost, the rename never gets through, and that has its own, bounded end.
  ending.catch(() => undefined);
  return async () => {
    goOn = false;
    await ending.catch(() => undefined);
  };
}

async function rename(
  session: pg.Client,
  live: string,
  incoming: string,
  previous: string | null,
): Promise<void> {
  try {
    await session.query("BEGIN");
    if (previous)
      await session.query(`ALTER DATABASE ${escapeIdentifier(live)} RENAME TO ${escapeIdentifier(previous)}`);
    await session.query(`ALTER DATABASE ${escapeIdentifier(incoming)} RENAME TO ${escapeIdentifier(live)}`);
    await session.query("COMMIT");
  } catch (error) {
    await session.query("ROLLBACK");
    throw error;
  }
}
