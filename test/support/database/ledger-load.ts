import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { TestPostgres } from "../servers/postgres.ts";
import { LIVE } from "./live.ts";
import { query } from "./query.ts";

/** A row that a client wrote. Times are milliseconds since 1970, by this machine's clock, which the containers share. */
export interface WrittenRow {
  id: number;
  sentAt: number;
  acknowledgedAt: number;
}

export interface LedgerLoad {
  rows: WrittenRow[];
  stop(): Promise<void>;
}

/** Some clients that write rows, one transaction each, until stopped. A quarter of the transactions is rolled back. */
export async function startLedgerLoad(postgres: TestPostgres, clients = 3): Promise<LedgerLoad> {
  await query(postgres, LIVE, "CREATE TABLE IF NOT EXISTS ledger (id int PRIMARY KEY, words text)");
  const rows: WrittenRow[] = [];
  let [next, stopped] = [1, false];
  const write = async () => {
    const client = new pg.Client({ connectionString: postgres.url(LIVE) });
    await client.connect();
    while (!stopped) {
      const id = next++;
      const sentAt = Date.now();
      await client.query("BEGIN");
      await client.query("INSERT INTO ledger SELECT $1, repeat(md5($2), 20)", [id, String(id)]);
      await client.query(id % 4 === 0 ? "ROLLBACK" : "COMMIT");
      if (id % 4 !== 0) rows.push({ id, sentAt, acknowledgedAt: Date.now() });
      await delay(10);
    }
    await client.end();
  };
  const writing = Promise.all(Array.from({ length: clients }, write));
  writing.catch(() => undefined);
  return {
    rows,
    stop: async () => {
      stopped = true;
      await writing;
    },
  };
}

/** The rows that are there, and when the server committed each, in milliseconds. Needs track_commit_timestamp. */
export async function committedRows(postgres: TestPostgres): Promise<{ id: number; at: number }[]> {
  return query<{ id: number; at: number }>(
    postgres,
    LIVE,
    "SELECT id, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float8 AS at FROM ledger ORDER BY id",
  );
}

export async function ledgerIds(postgres: TestPostgres): Promise<number[]> {
  const rows = await query<{ id: number }>(postgres, LIVE, "SELECT id FROM ledger ORDER BY id");
  return rows.map(({ id }) => id);
}
