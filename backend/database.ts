import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Settings } from "./settings.ts";

/** How long a request waits for a connection while the database is restarted or another one is swapped in. */
const CONNECT_PATIENCE_MS = 2000;
const RECONNECT_PAUSE_MS = 100;

/** The database cannot be reached, or left in the middle: answered as 503 with Retry-After. */
export class DatabaseUnavailable extends Error {
  /** Whether the connection was lost, so that a new one may succeed at once. */
  readonly connectionLost: boolean;
  constructor(cause: unknown, connectionLost: boolean) {
    super(describe(cause), { cause });
    this.connectionLost = connectionLost;
  }
}

export type Row = pg.QueryResultRow;

/**
 * A pool that survives what the stack does to its database: restarts, ended sessions, another database under the same name.
 * `bigint` comes back as a number, `date` as YYYY-MM-DD, `numeric` as a string.
 */
export class Database {
  readonly #pool: pg.Pool;

  constructor(settings: Settings["database"], onConnectionLost: (reason: string) => void) {
    this.#pool = new pg.Pool({
      host: settings.host,
      port: settings.port,
      database: settings.name,
      user: settings.user,
      password: settings.password,
      application_name: "budgie-backend",
      max: settings.poolSize,
      keepAlive: true,
      connectionTimeoutMillis: 3000,
      statement_timeout: 10_000,
      query_timeout: 12_000,
      idleTimeoutMillis: 30_000,
      types: parsers(),
    });
    // Without listeners, a session that the server ends while nobody queries would end the process.
    this.#pool.on("error", error => onConnectionLost(describe(error)));
    this.#pool.on("connect", client => client.on("error", () => {}));
  }

  /** For statements that change nothing: tried once more when the connection breaks. Throws DatabaseUnavailable. */
  async read<T extends Row>(text: string, values: unknown[] = []): Promise<T[]> {
    try {
      return await this.write<T>(text, values);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || !error.connectionLost) throw error;
      await sleep(RECONNECT_PAUSE_MS);
      return await this.write<T>(text, values);
    }
  }

  /** For statements that change something: sent at most once. Throws DatabaseUnavailable. */
  async write<T extends Row>(text: string, values: unknown[] = []): Promise<T[]> {
    const client = await this.#connect();
    return await run<T>(client, { text, values });
  }

  /** Asks whether Budgie's own tables answer. Throws when they do not within `timeoutMs`. */
  async probe(timeoutMs: number): Promise<void> {
    const client = await within(timeoutMs, this.#pool.connect(), late => late.release());
    await run(client, { text: "SELECT EXISTS (SELECT FROM users)", query_timeout: timeoutMs });
  }

  /** One attempt, without patience, on a connection of the caller's own. */
  async withClient<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      return await work(client);
    } finally {
      // Destroyed rather than reused: the work may have changed settings of its session.
      client.release(true);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  // Nothing has been sent yet, so trying again is safe for reads and writes alike.
  async #connect(): Promise<pg.PoolClient> {
    const deadline = Date.now() + CONNECT_PATIENCE_MS;
    for (;;) {
      try {
        return await this.#pool.connect();
      } catch (error) {
        if (Date.now() + RECONNECT_PAUSE_MS > deadline) throw new DatabaseUnavailable(error, false);
        await sleep(RECONNECT_PAUSE_MS);
      }
    }
  }
}

/** The reason in a few words; a failed connection to several addresses has an empty message of its own. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

async function run<T extends Row>(client: pg.PoolClient, query: pg.QueryConfig & { query_timeout?: number }) {
  try {
    const { rows } = await client.query<T>(query);
    client.release();
    return rows;
  } catch (error) {
    const unavailable = asUnavailable(error);
    client.release(unavailable !== undefined);
    throw unavailable ?? error;
  }
}

function asUnavailable(error: unknown): DatabaseUnavailable | undefined {
  if (error instanceof pg.DatabaseError) {
    const sqlState = error.code ?? "";
    // 08 connection exception; 57P shut down, crashed, starting, session ended; 53 out of resources; 57014 took too long.
    if (/^(08|57P)/.test(sqlState)) return new DatabaseUnavailable(error, true);
    if (/^(53|57014)/.test(sqlState)) return new DatabaseUnavailable(error, false);
    return undefined;
  }
  if (error instanceof TypeError || error instanceof RangeError) return undefined;
  return new DatabaseUnavailable(error, describe(error) !== "Query read timeout");
}

async function within<T>(timeoutMs: number, promise: Promise<T>, onLate: (late: T) => void): Promise<T> {
  const timer = new AbortController();
  const timeout = sleep(timeoutMs, undefined, { signal: timer.signal, ref: false }).then(() => {
    promise.then(onLate, () => {});
    throw new Error(`no connection within ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    timeout.catch(() => {});
    timer.abort();
  }
}

function parsers(): pg.CustomTypesConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.INT8, Number);
  types.setTypeParser(pg.types.builtins.DATE, (value: string) => value);
  return types;
}
