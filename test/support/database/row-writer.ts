import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { until } from "../until.ts";

/** A client that writes rows all the time, and remembers which ones the database said it has. */
export interface RowWriter {
  /** How many rows were acknowledged so far. */
  acknowledged(): number;
  /** Waits for one more acknowledged row, which shows that the database serves. Throws the last error after a minute. */
  oneMore(): Promise<void>;
  /** The acknowledged rows that the database does not have. */
  missing(): Promise<number[]>;
  /** Forgets all rows, for when the database was made anew. */
  forget(): void;
  stop(): Promise<void>;
}

const SERVES_WITHIN_MS = 60_000;
const PAUSE_MS = 10;

/** @param connection to a database that need not exist yet; a missing table is made */
export function startRowWriter(connection: { port: number; password: string; database: string }): RowWriter {
  let rows: number[] = [];
  let [next, goOn, lastError] = [1, true, "none"];
  const connect = async () => {
    const client = new pg.Client({
      host: "127.0.0.1",
      user: "budgie_user",
      connectionTimeoutMillis: 2_000,
      query_timeout: 5_000,
      ...connection,
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  const write = async (client: pg.Client) => {
    await client.query("CREATE TABLE IF NOT EXISTS written (n integer PRIMARY KEY)");
    while (goOn) {
      const [n, into] = [next++, rows];
      await client.query("INSERT INTO written VALUES ($1)", [n]);
      into.push(n);
      await sleep(PAUSE_MS);
    }
  };
  const writing = (async () => {
    while (goOn) {
      let client: pg.Client | undefined;
      try {
        client = await connect();
        await write(client);
      } catch (error) {
        lastError = (error as Error).message;
        await sleep(5 * PAUSE_MS);
      } finally {
        await client?.end().catch(() => undefined);
      }
    }
  })();
  return {
    acknowledged: () => rows.length,
    oneMore: async () => {
      const before = rows.length;
      await until(
        "another row that the database took",
        () => rows.length,
        count => count !== before,
        { withinMs: SERVES_WITHIN_MS, everyMs: PAUSE_MS, log: () => `The last error: ${lastError}` },
      );
    },
    missing: async () => {
      const expected = [...rows];
      const client = await connect();
      try {
        const { rows: found } = await client.query<{ n: number }>("SELECT n FROM written");
        const there = new Set(found.map(({ n }) => n));
        return expected.filter(n => !there.has(n));
      } finally {
        await client.end();
      }
    },
    forget: () => {
      rows = [];
    },
    stop: async () => {
      goOn = false;
      await writing;
    },
  };
}
