import type pg from "pg";

/**
 * The sessions that this role may end. PostgreSQL makes one that it may not end an error, which would leave all others at work: a
 * superuser's, for a role that is none, and a process of the server's own. What of them is in the way tells the step after it.
 */
const MAY_END = `(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  OR pg_has_role(usesysid, 'USAGE')
  OR (pg_has_role('pg_signal_backend', 'USAGE') AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = usesysid))`;

/** Ends every session in these databases, as far as the role may. */
export async function endSessionsIn(session: pg.Client, databases: readonly string[]): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY($1) AND (${MAY_END})`,
    [databases],
  );
}

/** The same for the sessions of a program. */
export async function endSessionsOf(session: pg.Client, program: string): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND (${MAY_END})`,
    [program],
  );
}

/** The clients in a database whose sessions the role may not end. */
export async function sessionsThatStay(
  session: pg.Client,
  database: string,
): Promise<{ pid: number; user: string; application: string }[]> {
  const { rows } = await session.query<{ pid: number; user: string; application: string }>(
    `SELECT pid, usename::text AS user, application_name AS application FROM pg_stat_activity
      WHERE datname = $1 AND usesysid IS NOT NULL AND NOT (${MAY_END})`,
    [database],
  );
  return rows;
}
