import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** A client that writes rows all the time, and remembers which ones the database said it has. */
export interface RowWriter {
  /** How many rows were acknowledged so far. */
  acknowledged(): number;
  /** Waits until one more row than now was acknowledged: the database serves. Throws after a minute, with the last error. */
  oneMore(): Promise<void>;
  /** The acknowledged rows that the database does not have. */
  missing(): Promise<number[]>;
  /** Begins anew, for a database that was made anew. */
  forget(): void;
  stop(): Promise<void>;
}

const SERVES_WITHIN_MS = 60_000;
const PAUSE_MS = 10;

/** @param connection to a database that need not be there; the table is made where it is missing */
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
      const [before, giveUpAt] = [rows.length, Date.now() + SERVES_WITHIN_MS];
      while (rows.length === before) {
        if (Date.now() > giveUpAt)
          throw new Error(`The database took no row for a minute. The last error: ${lastError}`);
        await sleep(PAUSE_MS);
      }
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
