import { createHash } from "node:crypto";
import type pg from "pg";
import type { RunAs } from "../base/child-process.ts";
import { readAhead } from "../base/read-ahead.ts";
import { tableName } from "../dump/fingerprint.ts";
import { countLines } from "../dump/reader.ts";
import { type RowReader, startRowReader } from "./row-reader.ts";

/** A table whose rows were loaded from a dump. */
export interface LoadedTable {
  /** As the dump names it. */
  name: string;
  /** The dump's COPY statement, in the dump's encoding. */
  copy: Buffer;
  rows: number;
  sha256: string;
  /** PostgreSQL's number of it. */
  oid: number;
  /** `WHERE …`: of an extension's own table, only these rows are in a dump. Null: all are. */
  condition: string | null;
  /** The dump's own. The server writes its rows in the same one, so that the texts can be compared. */
  encoding: string;
}

export interface ReadTable {
  rows: number;
  sha256: string;
}

/** A larger table is read in ranges, by two sessions. */
const RANGED_BYTES = 64 << 20;
const PAGE_BYTES = 8192;
const RANGE_PAGES = 2048;
/** How far the second session may be ahead. */
const AHEAD_BYTES = 24 << 20;

/** Reads back what was loaded. Its one or two sessions have the settings of every dump. */
export class RowComparison {
  readonly #session: pg.Client;
  readonly #first: RowReader;
  readonly #second: RowReader | null;

  /** `session`: in the same database, for questions. */
  constructor(session: pg.Client, database: string, client: RunAs, sessions: 1 | 2, signal: AbortSignal) {
    this.#session = session;
    this.#first = startRowReader(database, client, signal);
    this.#second = sessions === 2 ? startRowReader(database, client, signal) : null;
  }

  /** The rows as a dump would write them, in the order in which they lie. */
  async read(table: LoadedTable): Promise<ReadTable> {
    const hash = createHash("sha256");
    let rows = 0;
    for await (const part of await this.rows(table)) {
      hash.update(part);
      rows += countLines(part);
    }
    return { rows, sha256: hash.digest("hex") };
  }

  async rows(table: LoadedTable): Promise<AsyncIterable<Buffer>> {
    if (table.condition !== null) return this.#first.rows(conditional(table, table.condition));
    const pages = this.#second === null ? 0 : await this.#pages(table.oid);
    if (this.#second === null || pages * PAGE_BYTES < RANGED_BYTES) return this.#first.rows(whole(table));
    return this.#ranges([this.#first, this.#second], table, pages);
  }

  async end(): Promise<void> {
    await Promise.all([this.#first.end(), this.#second?.end()]);
  }

  async #pages(oid: number): Promise<number> {
    const { rows } = await this.#session.query<{ bytes: string }>(
      "SELECT pg_relation_size($1::oid) AS bytes",
      [oid],
    );
    return Math.ceil(Number(rows[0]?.bytes ?? 0) / PAGE_BYTES);
  }

  /** Each session reads every second range, and the ranges are taken in order. */
  async *#ranges(
    readers: readonly [RowReader, RowReader],
    table: LoadedTable,
    pages: number,
  ): AsyncGenerator<Buffer> {
    const count = Math.ceil(pages / RANGE_PAGES);
    const start = (range: number) =>
      readAhead(
        readers[range % 2 === 0 ? 0 : 1].rows(ranged(table, range, range + 1 === count)),
        AHEAD_BYTES,
      );
    let next: AsyncIterable<Buffer> | null = start(0);
    let afterNext = count > 1 ? start(1) : null;
    for (let range = 0; range < count; range++) {
      if (next) yield* next;
      next = afterNext;
      afterNext = range + 2 < count ? start(range + 2) : null;
    }
  }
}

/** Names may be in any encoding, so bytes stay as they are. */
const text = (copy: Buffer) => copy.toString("latin1");
const bytes = (statement: string) => Buffer.from(statement, "latin1");

/** `(id, email)` of `COPY public.users (id, email) FROM stdin;`; nothing for a table without columns to copy. */
function columnsOf(copy: string): string {
  return copy.slice("COPY ".length + tableName(copy).length, -" FROM stdin;".length).trim();
}

function whole({ copy }: LoadedTable): Buffer {
  return bytes(`${text(copy).slice(0, -" FROM stdin;".length)} TO STDOUT;`);
}

function selection({ copy }: LoadedTable): string {
  const statement = text(copy);
  return `SELECT ${columnsOf(statement).replace(/^\(([\s\S]*)\)$/, "$1")} FROM ONLY ${tableName(statement)}`;
}

function conditional(table: LoadedTable, condition: string): Buffer {
  return bytes(`COPY (${selection(table)} ${Buffer.from(condition).toString("latin1")}) TO STDOUT;`);
}

/**
 * Selects by the rows' places, which the server finds without reading the pages before. The last range is open, because the table
 * may have grown.
 */
function ranged(table: LoadedTable, range: number, last: boolean): Buffer {
  const from = `ctid >= '(${range * RANGE_PAGES},0)'::tid`;
  const to = last ? "" : ` AND ctid < '(${(range + 1) * RANGE_PAGES},0)'::tid`;
  return bytes(`COPY (${selection(table)} WHERE ${from}${to}) TO STDOUT;`);
}
