import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { preparedTransactions } from "../restore/in-the-way.ts";
import { inDatabase } from "../server/connection.ts";

/** What PostgreSQL has counted of everything that was written, and which tables there are. A session's own writes are counted at its end. */
export interface Written {
  rows: string;
  objects: string;
}

const COUNTED = `
  SELECT coalesce((SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text FROM pg_stat_user_tables), '0') AS rows,
         (SELECT md5(coalesce(string_agg(c.oid || relkind::text || relname || relfilenode, ',' ORDER BY c.oid), ''))
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
           WHERE relkind IN ('r', 'p', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema') AS objects`;
/** The agent's own sessions only read there. */
const OTHERS = `
  SELECT pid, coalesce(usename::text, '') AS user, application_name AS application FROM pg_stat_activity
   WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type NOT IN ('autovacuum worker', 'parallel worker', 'walsender')
     AND NOT (usename = $2 AND (application_name = 'budgie-agent' OR application_name LIKE 'budgie %'))
   ORDER BY pid`;

export function writtenIn(settings: AgentSettings): Promise<Written> {
  return inDatabase(settings, settings.database, "budgie migrate", async session => {
    const { rows } = await session.query<Written>(COUNTED);
    if (!rows[0]) throw new Error("the server did not say what was written");
    return rows[0];
  });
}

export function isSame(one: Written, other: Written): boolean {
  return one.rows === other.rows && one.objects === other.objects;
}

/** Throws a Stop that names whoever could write into the database still. A prepared transaction is in no backup. */
export async function requireNobodyWrites(session: pg.Client, settings: AgentSettings): Promise<void> {
  const { database, user } = settings;
  await requireNonePrepared(session, database);
  const { rows } = await session.query<{ pid: number; user: string; application: string }>(OTHERS, [
    database,
    user,
  ]);
  if (rows.length === 0) return;
  const shown = rows.map(
    one => `pid ${one.pid} (${one.user}${one.application ? `, ${one.application}` : ""})`,
  );
  throw new Stop(
    EXIT.busy,
    `Somebody is still connected to ${database} and could write into it: ${shown.join(", ")}. Nothing was moved.`,
    `End what that is; or end the sessions: npx budgie psql -- -c "SELECT pg_terminate_backend(${rows[0]?.pid})". Then run the same command again.`,
  );
}

export async function requireNonePrepared(session: pg.Client, database: string): Promise<void> {
  const prepared = await preparedTransactions(session, database);
  if (prepared.length === 0) return;
  throw new Stop(
    EXIT.busy,
    `${database} holds transactions that are prepared and neither committed nor taken back: ${prepared.map(({ gid }) => gid).join(", ")}. No backup holds what they wrote. Nothing was moved.`,
    "Ask whoever prepared them, then type COMMIT PREPARED or ROLLBACK PREPARED in `npx budgie psql`, and run the same command again.",
  );
}

/**
 * Throws a Stop where somebody may have written since `before`. Whoever is connected is named; whoever has gone has been counted: so
 * together the two miss nothing.
 */
export async function requireAsItWas(
  session: pg.Client,
  settings: AgentSettings,
  before: Written,
): Promise<void> {
  await requireNobodyWrites(session, settings);
  if (isSame(before, await writtenIn(settings))) return;
  throw new Stop(
    EXIT.busy,
    `Somebody wrote into ${settings.database} while it was moved, so the copy is not the whole of it. It is thrown away.`,
    "Find out who writes besides the API, end that, and run the same command again.",
  );
}
