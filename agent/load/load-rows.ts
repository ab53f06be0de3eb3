import type { RunAs } from "../base/child-process.ts";
import { DumpReader } from "../dump/reader.ts";
import { withOptions } from "../server/client-programs.ts";
import { type LoadedTable, RowComparison } from "./compare-rows.ts";
import { type LoadedSql, type LoadTarget, loadSql, type ReadDumpSql } from "./load-sql.ts";
import { RowSetDigest } from "./row-set-digest.ts";

export interface RowsTarget extends LoadTarget {
  /** Reads back what was loaded, as a superuser, so that no policy hides a row. */
  reader: RunAs;
  /** How the dump writes money; as the server does when not known. */
  lcMonetary: string | null;
  /** Whether there is memory enough to compare while the load goes on, and with two sessions. */
  atOnce: boolean;
  /** Runs beside the rest of the comparison once all is loaded. */
  meanwhile?: (comparing: Promise<unknown>) => Promise<void>;
}

export interface LoadedRows extends LoadedSql {
  /** One line for each table that has more rows or fewer. */
  miscounted: string[];
  /** Tables with as many rows, and not the same ones. */
  changed: string[];
  /** Tables with the same rows in another order. */
  reordered: string[];
}

interface Differing extends LoadedTable {
  found: number;
}

/**
 * Loads a dump and reads its rows back, each table while psql goes on with the next one. A table is read by a COPY of the columns
 * that the dump names, in the settings that dumps are made with. Its bytes must be the dump's; where they are not, the rows are
 * compared without their order. When psql did not end well, nothing is known of the rows.
 */
export async function loadRows(read: ReadDumpSql, target: RowsTarget): Promise<LoadedRows> {
  const comparing = new TableQueue(target);
  try {
    const loaded = await loadSql(read, target, table => comparing.add(table));
    comparing.begin();
    if (loaded.end.code !== 0) return { ...loaded, miscounted: [], changed: [], reordered: [] };
    const compared = comparing.allCompared();
    const [differing] = await Promise.all([compared, target.meanwhile?.(compared)]);
    const counted = differing.filter(table => table.rows !== table.found);
    const other = differing.filter(table => table.rows === table.found);
    const reordered = await comparing.sameInAnotherOrder(other, read);
    return {
      ...loaded,
      miscounted: counted.map(({ name, rows, found }) => `${name} has ${found} rows instead of ${rows}`),
      changed: other.map(({ name }) => name).filter(name => !reordered.includes(name)),
      reordered,
    };
  } finally {
    await comparing.end();
  }
}

/** Compares tables one after the other, as they come. */
class TableQueue {
  readonly #target: RowsTarget;
  readonly #differing: Differing[] = [];
  #rows: RowComparison | null = null;
  #last: Promise<void>;
  /** Lets it begin, where it must wait for the load to end. */
  begin: () => void = () => undefined;
  #failure: { error: unknown } | null = null;

  constructor(target: RowsTarget) {
    this.#target = target;
    this.#last = target.atOnce
      ? Promise.resolve()
      : new Promise(resolve => {
          this.begin = resolve;
        });
  }

  add(table: LoadedTable): void {
    this.#last = this.#last
      .then(async () => {
        if (this.#failure) return;
        const { rows, sha256 } = await this.#comparison(table.encoding).read(table);
        if (rows !== table.rows || sha256 !== table.sha256) this.#differing.push({ ...table, found: rows });
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      });
  }

  async allCompared(): Promise<Differing[]> {
    await this.#last;
    if (this.#failure) throw this.#failure.error;
    return this.#differing;
  }

  /** The names of those with the same rows, each as often. Reads the dump once more if there are tables to look at. */
  async sameInAnotherOrder(tables: readonly Differing[], read: ReadDumpSql): Promise<string[]> {
    if (tables.length === 0) return [];
    const wanted = new Map(tables.map(table => [table.copy.toString("latin1"), new RowSetDigest()]));
    await digestBlocks(read, wanted);
    const same: string[] = [];
    for (const table of tables) {
      const digest = new RowSetDigest();
      for await (const part of await this.#comparison(table.encoding).rows(table)) digest.update(part);
      if (digest.digest() === wanted.get(table.copy.toString("latin1"))?.digest()) same.push(table.name);
    }
    return same;
  }

  async end(): Promise<void> {
    this.begin();
    await this.#last;
    await this.#rows?.end();
  }

  #comparison(encoding: string): RowComparison {
    const { session, database, reader, signal, lcMonetary, atOnce } = this.#target;
    const money = lcMonetary === null ? {} : { lc_monetary: lcMonetary };
    this.#rows ??= new RowComparison(
      session,
      database,
      withOptions(reader, { client_encoding: encoding, ...money }),
      atOnce ? 2 : 1,
      signal,
    );
    return this.#rows;
  }
}

async function digestBlocks(read: ReadDumpSql, wanted: ReadonlyMap<string, RowSetDigest>): Promise<void> {
  let digest: RowSetDigest | undefined;
  const reader = new DumpReader(piece => {
    if (piece.kind === "copy") digest = wanted.get(piece.statement.toString("latin1"));
    else if (piece.kind === "rows") digest?.update(piece.bytes);
  });
  await read(part => reader.read(part));
  reader.end();
}
