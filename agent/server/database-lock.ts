import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { abortAtHeededSignal } from "../base/interruption.ts";
import { connectToMaintenance } from "./connection.ts";

/**
 * One operation at a time on one server. The lock is PostgreSQL's own advisory lock, so it ends with its holder,
 * however the holder ends. "budg" in ASCII, then the lock's number; 1 is the API's own, for its migrations.
 */
const LOCK = [0x62756467, 2] as const;

/** The session that holds the lock. What must not happen without the lock is done on this very session. */
export interface Lock {
  session: pg.Client;
  /** Aborts when the session is lost, and with it the lock; and when the command is told to end. */
  lost: AbortSignal;
}

/** Runs `work` while holding the lock; throws a Stop at once, naming the holder, when another one has it. */
export async function withLock<T>(
  settings: AgentSettings,
  operation: string,
  work: (lock: Lock) => Promise<T>,
): Promise<T> {
  const session = await connectToMaintenance(
    settings,
    `budgie ${operation} since ${new Date().toISOString()}`,
  );
  const abort = new AbortController();
  session.on("error", () =>
    abort.abort(
      new Stop(
        EXIT.databaseUnreachable,
        "The connection to the database was lost.",
        "Run the same command again.",
      ),
    ),
  );
  const forgetSignals = abortAtHeededSignal(abort);
  try {
    const { rows } = await session.query<{ locked: boolean }>(
      "SELECT pg_try_advisory_lock($1, $2) AS locked",
      [...LOCK],
    );
    if (!rows[0]?.locked) throw await heldByAnother(session, settings);
    return await work({ session, lost: abort.signal });
  } catch (error) {
    throw because(abort.signal, error);
  } finally {
    forgetSignals();
    await session.end().catch(() => undefined);
  }
}

/** A program that ended because the command was told to end says something else of it. */
function because({ reason }: AbortSignal, error: unknown): unknown {
  const interrupted = reason instanceof Stop && reason.code === EXIT.interrupted;
  return interrupted && !(error instanceof Stop && error.code === EXIT.interrupted) ? reason : error;
}

/** Which operation is at work, or null. */
export async function lockHolder(session: pg.Client): Promise<string | null> {
  const { rows } = await session.query<{ application_name: string }>(
    `SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND granted`,
    [...LOCK],
  );
  return rows[0]?.application_name ?? null;
}

async function heldByAnother(session: pg.Client, settings: AgentSettings): Promise<Stop> {
  const holder = (await lockHolder(session)) ?? "an operation that has just ended";
  return new Stop(
    EXIT.busy,
    `Another operation is at work on ${settings.database}: ${holder}.`,
    "Wait for it to end, then run the same command again.",
  );
}
