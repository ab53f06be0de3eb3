import { setTimeout as delay } from "node:timers/promises";
import type { Lock } from "./lock.ts";
import { connect } from "./server.ts";
import type { AgentSettings } from "./settings.ts";

const SESSION = "budgie analyze";
const AT_LEAST_MS = 2000;
const QUERY_CANCELED = "57014";

/**
 * Gathers the statistics that a freshly loaded database lacks until autovacuum comes by, and without which it is slow. Goes on no longer
 * than `meanwhile` does, for some hundred tables take longer than being compared: those that are left are autovacuum's. Each table
 * is committed by itself, and no more than the load's need these commits wait for the disk.
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
    // Under the lock there is no other one of that name.
    await session
      .query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [SESSION])
      .catch(() => undefined);
  });
  try {
    await client.query("SET synchronous_commit = off");
    await client.query("ANALYZE");
  } catch (error) {
    if ((error as { code?: string }).code !== QUERY_CANCELED) throw error;
  } finally {
    analyzed.abort();
    await client.end();
  }
}
