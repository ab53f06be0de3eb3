import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { connect } from "./connection.ts";
import type { Lock } from "./database-lock.ts";

const SESSION = "budgie analyze";
const AT_LEAST_MS = 2000;
const QUERY_CANCELED = "57014";
/** Without tables that lie on other servers: these would be asked. */
const OWN_TABLES = `
  SELECT format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
   WHERE relkind IN ('r', 'm', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
     AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class f ON f.oid = inhrelid WHERE inhparent = c.oid AND f.relkind = 'f')
   ORDER BY pg_relation_size(c.oid) DESC`;

/**
 * Gathers the statistics that a freshly loaded database lacks until autovacuum comes by; without them it is slow. Goes on no longer
 * than `meanwhile`, because some hundred tables take longer than their comparison. The rest is left to autovacuum. Each table is
 * committed by itself. Like the load's, these commits need not wait for the disk.
 */
export async function analyze(
  settings: AgentSettings,
  database: string,
  { session }: Lock,
  meanwhile: Promise<unknown>,
): Promise<void> {
  const client = await connect(settings, database, SESSION);
  const analyzed = new AbortController();
  const enough = Promise.allSettled([meanwhile, delay(AT_LEAST_MS, undefined, { signal: analyzed.signal })]);
  void enough.then(async () => {
    if (analyzed.signal.aborted) return;
    // Under the lock no other session has that name.
    await session
      .query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [SESSION])
      .catch(() => undefined);
  });
  try {
    await client.query("SET synchronous_commit = off");
    const { rows } = await client.query<{ name: string }>(OWN_TABLES);
    for (const { name } of rows) {
      const ended = await client.query(`ANALYZE ${name}`).then(
        () => null,
        (error: { code?: string }) => error,
      );
      // A table that cannot be analyzed is slow. That is no reason not to have it back.
      if (ended?.code === QUERY_CANCELED) return;
    }
  } finally {
    analyzed.abort();
    await client.end();
  }
}
