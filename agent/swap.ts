import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { timestamp } from "./backup-name.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { databaseExists } from "./server.ts";

const { escapeIdentifier } = pg;

/** How long clients that keep reconnecting may hold a swap off. */
const PATIENCE_MS = 60_000;

/** PostgreSQL's code for "being accessed by other users". */
const OBJECT_IN_USE = "55006";

export function previousName(database: string, at: Date): string {
  return `${database}_before_${timestamp(at)}`;
}

/** The databases that earlier swaps set aside, newest first. */
export async function previousDatabases(session: pg.Client, database: string): Promise<string[]> {
  const { rows } = await session.query<{ datname: string }>(
    "SELECT datname FROM pg_database ORDER BY datname DESC",
  );
  const prefix = `${database}_before_`;
  return rows
    .map(row => row.datname)
    .filter(name => name.startsWith(prefix) && /^\d{8}_\d{6}$/.test(name.slice(prefix.length)));
}

/**
 * Puts `incoming` in the place of `live` in one transaction, and sets the old one aside under the name it returns (null
 * where there was none). The renames' own locks hold newcomers off, so there is no state in between that a kill could
 * leave behind: before COMMIT the old database serves, after it the new one. Nothing is deleted.
 *
 * A rename waits five seconds for the sessions in its database to end, with its lock held. They are ended meanwhile from
 * `helper`, a second session: ended before, they would be back before the lock is taken.
 */
export async function swap(
  session: pg.Client,
  helper: pg.Client,
  live: string,
  incoming: string,
): Promise<string | null> {
  const previous = (await databaseExists(session, live)) ? await freePreviousName(session, live) : null;
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    const stopEnding = keepEndingSessions(helper, [live, incoming]);
    try {
      await rename(session, live, incoming, previous);
      return previous;
    } catch (error) {
      if ((error as { code?: string }).code !== OBJECT_IN_USE) throw error;
      if (Date.now() > giveUpAt) {
        throw new Stop(
          EXIT.failed,
          `Clients kept reconnecting to ${live} for ${PATIENCE_MS / 1000} seconds, so the databases were not swapped; the old one serves on.`,
          "Stop the backend with `npx budgie stop backend`, run the same command again, then `npx budgie start`.",
        );
      }
    } finally {
      await stopEnding();
    }
  }
}

async function freePreviousName(session: pg.Client, live: string): Promise<string> {
  for (;;) {
    const name = previousName(live, new Date());
    if (!(await databaseExists(session, name))) return name;
    await delay(100);
  }
}

/** Ends the databases' sessions again and again, until the returned function is called. */
function keepEndingSessions(helper: pg.Client, databases: string[]): () => Promise<void> {
  let goOn = true;
  const ending = (async () => {
    while (goOn) {
      await helper.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY($1)", [
        databases,
      ]);
      await delay(50);
    }
  })();
  // A lost helper shows as a rename that never gets through, which has its own, bounded end.
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
