import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { connect } from "./connection.ts";

export type Row = Record<string, unknown>;

/** Asks the live database; null when it does not answer, or not in time. Never throws. */
export type Ask = (sql: string, values?: readonly unknown[]) => Promise<Row[] | null>;

/** For where there is no database to ask. */
export const askNobody: Ask = async () => null;

/**
 * The session can change nothing, and every name comes with its schema. Rows are looked for in the tables themselves, because an
 * index may be what is wrong.
 */
const SESSION = `
  SET default_transaction_read_only = on; SET search_path = ''; SET statement_timeout = '60s'; SET lock_timeout = '5s';
  SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET constraint_exclusion = off;
  SET row_security = off; SET quote_all_identifiers = off`;

/** Runs `work` with questions to the stack's own database. The first question opens the connection. */
export async function withLiveQuestions<T>(
  settings: AgentSettings,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const opened: Promise<pg.Client | null>[] = [];
  const open = async () => {
    const client = await connect(settings, settings.database, "budgie drill");
    try {
      await client.query(SESSION);
      return client;
    } catch {
      await client.end().catch(() => undefined);
      return null;
    }
  };
  try {
    return await work(async (sql, values = []) => {
      if (opened.length === 0) opened.push(open().catch(() => null));
      const client = (await opened[0]) ?? null;
      return client === null ? null : client.query(sql, [...values]).then(({ rows }) => rows, askNobody);
    });
  } finally {
    for (const session of opened) await session.then(client => client?.end()).catch(() => undefined);
  }
}
