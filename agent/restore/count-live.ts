import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { connect, databaseExists } from "../server/connection.ts";
import type { Lock } from "../server/database-lock.ts";

/** The rows of each table; null for one that could not be counted, as while somebody has it locked. */
export type RowCounts = ReadonlyMap<string, number | null>;

const SESSION = "budgie count";
/** The tables whose rows a dump has. Those of an extension come with it. */
const TABLES = `
  SELECT format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
   WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
     AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
   ORDER BY 1`;

/**
 * Counts the live database's rows, table by table; null where there is none of that name. Each table is counted by itself, so that
 * no lock is held for long, and one that is locked is not waited for.
 */
export async function countLive(settings: AgentSettings, lock: Lock): Promise<RowCounts | null> {
  if (!(await databaseExists(lock.session, settings.database))) return null;
  const inside = await connect(settings, settings.database, SESSION);
  const end = () => void cancel(lock.session);
  lock.lost.addEventListener("abort", end);
  try {
    await inside.query("SET default_transaction_read_only = on");
    await inside.query("SET lock_timeout = '5s'");
    const { rows: tables } = await inside.query<{ name: string }>(TABLES);
    const counts = new Map<string, number | null>();
    for (const { name } of tables) {
      lock.lost.throwIfAborted();
      counts.set(name, await count(inside, name));
    }
    lock.lost.throwIfAborted();
    return counts;
  } finally {
    lock.lost.removeEventListener("abort", end);
    await inside.end();
  }
}

async function count(session: pg.Client, table: string): Promise<number | null> {
  try {
    const { rows } = await session.query<{ n: string }>(`SELECT count(*)::text AS n FROM ONLY ${table}`);
    return Number(rows[0]?.n);
  } catch {
    return null;
  }
}

/** Under the lock no other session has that name. */
async function cancel(session: pg.Client): Promise<void> {
  await session
    .query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [SESSION])
    .catch(() => undefined);
}
