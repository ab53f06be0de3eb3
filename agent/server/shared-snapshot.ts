import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { connect } from "./connection.ts";

/** How long an instant is waited for in which nothing is being committed. */
const TRY_FOR_MS = 3000;
const TRY_AGAIN_MS = 20;

/** Where in the WAL a dump belongs. */
export interface WalPosition {
  timeline: number;
  /** `0/3000060`: whoever replays all WAL before it has the very rows of the dump. */
  lsn: string;
  /** Whether nothing was committed until the dump's end either. If something was, a sequence may have moved on. */
  quiet: boolean;
}

/** A snapshot for pg_dump, and where in the WAL it belongs. */
export interface SharedSnapshot {
  /** For pg_dump's --snapshot. */
  id: string;
  /** Call it when the dump has ended. Ends the snapshot too. */
  end(): Promise<WalPosition>;
  /** Ends it without a question, however the dump ended. */
  discard(): Promise<void>;
}

/**
 * A snapshot of the stack's database around which nothing was committed, so that recovery can be brought to the same state. Null where
 * there is no such instant for a while, or anything else goes wrong: a dump needs none of this.
 *
 * It is looked at in this order: which transactions have ended; the position in the WAL; whether any is still at work that may be
 * committing; and then the snapshot. When the same ones have ended by the first look and in the snapshot, none ended in between. So
 * each commit before the position is in the snapshot: it has ended by the third look, and not since the first. And each commit in the
 * snapshot is before the position: it had ended by the first look, and a transaction ends after its record is written.
 */
export async function shareSnapshot(settings: AgentSettings): Promise<SharedSnapshot | null> {
  let session: pg.Client | null = null;
  try {
    session = await connect(settings, settings.database, "budgie snapshot");
    const shared = await untilQuiet(session);
    if (shared) return asSnapshot(session, shared);
  } catch {
    // A dump takes a snapshot of its own.
  }
  await session?.end().catch(() => undefined);
  return null;
}

interface Shared {
  id: string;
  timeline: number;
  lsn: string;
  /** Whether nothing has been committed since. */
  isQuiet: () => Promise<boolean>;
}

async function untilQuiet(session: pg.Client): Promise<Shared | null> {
  const giveUpAt = Date.now() + TRY_FOR_MS;
  const tryOnce = (await isStandby(session)) ? tryOnStandby : tryOnDatabase;
  for (;;) {
    const shared = await tryOnce(session);
    if (shared !== null || Date.now() > giveUpAt) return shared;
    await delay(TRY_AGAIN_MS);
  }
}

async function isStandby(session: pg.Client): Promise<boolean> {
  const { rows } = await session.query<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby");
  return rows[0]?.standby === true;
}

async function tryOnDatabase(session: pg.Client): Promise<Shared | null> {
  const before = await endedTransactions(session);
  const { rows } = await session.query<{ lsn: string; segment: string }>(
    "SELECT lsn::text, pg_walfile_name(lsn) AS segment FROM pg_current_wal_insert_lsn() AS lsn",
  );
  const position = rows[0];
  if (!position || (await isCommitting(session))) return null;
  await session.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const taken = await session.query<{ ended: string; id: string }>(
    "SELECT pg_current_snapshot()::text AS ended, pg_export_snapshot() AS id",
  );
  const snapshot = taken.rows[0];
  if (snapshot?.ended === before) {
    const timeline = Number.parseInt(position.segment.slice(0, 8), 16);
    const isQuiet = async () =>
      !(await isAnyAtWork(session)) && (await endedTransactions(session)) === before;
    return { id: snapshot.id, timeline, lsn: position.lsn, isQuiet };
  }
  await session.query("ROLLBACK");
  return null;
}

/**
 * A standby replays what it has received, and nothing else. So when before the snapshot all that was received is replayed, and after it
 * nothing more was received, nothing was replayed in between, and the snapshot is of that very position.
 */
async function tryOnStandby(session: pg.Client): Promise<Shared | null> {
  const before = await replayedAll(session);
  if (before === null) return null;
  await session.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const taken = await session.query<{ id: string }>("SELECT pg_export_snapshot() AS id");
  const [snapshot] = taken.rows;
  const after = await replayedAll(session);
  if (snapshot && after?.lsn === before.lsn && after.timeline === before.timeline)
    return { ...snapshot, ...before, isQuiet: async () => (await replayedAll(session))?.lsn === before.lsn };
  await session.query("ROLLBACK");
  return null;
}

/** Null while something that was received is still to be replayed, and while nothing is received. */
async function replayedAll(session: pg.Client): Promise<Pick<Shared, "timeline" | "lsn"> | null> {
  const { rows } = await session.query<{ timeline: number; lsn: string }>(
    `SELECT received_tli AS timeline, pg_last_wal_replay_lsn()::text AS lsn FROM pg_stat_wal_receiver
      WHERE pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()`,
  );
  return rows[0] ?? null;
}

async function endedTransactions(session: pg.Client): Promise<string> {
  const { rows } = await session.query<{ ended: string }>("SELECT pg_current_snapshot()::text AS ended");
  return rows[0]?.ended ?? "";
}

/** A transaction that writes holds a lock on its own number until it has ended. One that waits for its client commits nothing. */
async function isCommitting(session: pg.Client): Promise<boolean> {
  const { rowCount } = await session.query(
    `SELECT FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
        AND state IS DISTINCT FROM 'idle in transaction' LIMIT 1`,
  );
  return rowCount !== 0;
}

function asSnapshot(session: pg.Client, { id, timeline, lsn, isQuiet }: Shared): SharedSnapshot {
  const discard = () => session.end().catch(() => undefined);
  return {
    id,
    end: async () => {
      try {
        await session.query("COMMIT");
        return { timeline, lsn, quiet: await isQuiet() };
      } catch {
        return { timeline, lsn, quiet: false };
      } finally {
        await discard();
      }
    },
    discard,
  };
}

/** One that has moved a sequence on, and has not ended. */
async function isAnyAtWork(session: pg.Client): Promise<boolean> {
  const { rowCount } = await session.query(
    "SELECT FROM pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' LIMIT 1",
  );
  return rowCount !== 0;
}
