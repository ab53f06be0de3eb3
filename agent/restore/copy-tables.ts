import { createHash } from "node:crypto";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { RunAs } from "../base/child-process.ts";
import type { DumpContent } from "../dump/fingerprint.ts";
import { countLines } from "../dump/reader.ts";
import { type RowReader, startRowReader } from "../load/row-reader.ts";
import { RowSetDigest } from "../load/row-set-digest.ts";
import { withOptions } from "../server/client-programs.ts";
import type { TableShape } from "./table-shape.ts";

/** From where to where. */
export interface Copying {
  /** The candidate, whose rows were compared with the backup. */
  from: string;
  /** The live database. */
  to: string;
  /** The schema that is made there: a name that needs no quotes. */
  schema: string;
  /** With the stack's own rights. */
  client: RunAs;
  /** What was loaded into the candidate, table by table. */
  content: DumpContent;
  /** How the backup writes money; as the server does when not known. */
  lcMonetary: string | null;
  /** Whether no event trigger of the live database hears of it; where not, there is none. */
  asReplica: boolean;
  signal: AbortSignal;
}

interface Streamed {
  rows: number;
  sha256: string;
}

/** psql's words for a disk that is full, of the table's or of WAL's. */
const DISK_FULL = /No space left on device|could not extend file/;

/**
 * Copies rows into a new schema of the live database, and reads them back. All of it is one transaction of one session, which commits once
 * every table is the same. So at any kill there is no such schema, or the whole of it. What is there already is neither changed
 * nor locked.
 */
export async function copyTables(
  copying: Copying,
  tables: readonly TableShape[],
): Promise<Map<TableShape, number>> {
  const { from, to, schema, signal } = copying;
  const client = clientFor(copying);
  const out = startRowReader(from, client, signal);
  const into = startRowReader(to, client, signal, notCopied);
  try {
    await run(into, `BEGIN; CREATE SCHEMA ${schema};`);
    const copied = new Map<TableShape, number>();
    for (const table of tables) copied.set(table, await copyTable(copying, table, { out, into }));
    signal.throwIfAborted();
    await run(into, "COMMIT;");
    return copied;
  } finally {
    // What is not committed goes with its session.
    await Promise.all([out.end(), into.end()]);
  }
}

/**
 * As a replica's, so that no event trigger of the live database hears of the new tables: it could refuse them, or write to what is
 * there.
 */
function clientFor({ client, content, lcMonetary, asReplica }: Copying): RunAs {
  return withOptions(client, {
    client_encoding: content.clientEncoding ?? "UTF8",
    ...(asReplica ? { session_replication_role: "replica" } : {}),
    ...(lcMonetary === null ? {} : { lc_monetary: lcMonetary }),
  });
}

async function copyTable(
  copying: Copying,
  table: TableShape,
  { out, into }: { out: RowReader; into: RowReader },
): Promise<number> {
  const copy = nameOfCopy(copying.schema, table);
  const columns = table.columns.map(({ quoted, type }) => `${quoted} ${type}`).join(", ");
  await run(into, `CREATE TABLE ${copy} (${columns});`);
  const sent = measure();
  for (const part of table.parts) {
    // In the transaction that makes the table, so the rows lie in the order in which they come.
    await into.feed(Buffer.from(`COPY ${copy}${listed(table)} FROM STDIN WITH (FREEZE);\n`));
    for await (const rows of out.rows(copyOut(part, table))) {
      sent.take(rows);
      await into.feed(rows);
    }
    await into.feed(Buffer.from("\\.\n"));
  }
  const there = measure();
  for await (const rows of into.rows(copyOut(copy, table))) there.take(rows);
  const [given, found] = [sent.end(), there.end()];
  const same =
    given.rows === found.rows &&
    (given.sha256 === found.sha256 || (await sameInAnotherOrder(copy, table, { out, into })));
  const recorded = recordedRows(copying.content, table);
  if (same && (recorded === null || recorded === found.rows)) return found.rows;
  throw new Stop(
    EXIT.comparisonDiffers,
    `What was copied of ${table.qualified} is not what was loaded: ${found.rows} rows of ${recorded ?? given.rows}; nothing of it is kept.`,
    "Run the same command again.",
  );
}

export function nameOfCopy(schema: string, { quoted }: Pick<TableShape, "quoted">): string {
  return `${schema}.${quoted}`;
}

/** As many as the backup's own record says of the table, or of its partitions; null where it does not name them. */
export function recordedRows({ tables }: Pick<DumpContent, "tables">, { parts }: TableShape): number | null {
  const recorded = tables.filter(({ name }) => parts.includes(name));
  if (parts.some(part => !recorded.some(({ name }) => name === part))) return null;
  return recorded.reduce((sum, { rows }) => sum + rows, 0);
}

async function sameInAnotherOrder(
  copy: string,
  table: TableShape,
  { out, into }: { out: RowReader; into: RowReader },
): Promise<boolean> {
  const [given, found] = [new RowSetDigest(), new RowSetDigest()];
  for (const part of table.parts) for await (const rows of out.rows(copyOut(part, table))) given.update(rows);
  for await (const rows of into.rows(copyOut(copy, table))) found.update(rows);
  return given.digest() === found.digest();
}

function measure(): { take(rows: Buffer): void; end(): Streamed } {
  const hash = createHash("sha256");
  let rows = 0;
  return {
    take(part) {
      hash.update(part);
      rows += countLines(part);
    },
    end: () => ({ rows, sha256: hash.digest("hex") }),
  };
}

/** Of the table itself, without those that inherit from it. */
function copyOut(from: string, table: TableShape): Buffer {
  return Buffer.from(`COPY ${from}${listed(table)} TO STDOUT;`);
}

function listed({ columns }: TableShape): string {
  return columns.length === 0 ? "" : ` (${columns.map(({ quoted }) => quoted).join(", ")})`;
}

async function run(session: RowReader, statements: string): Promise<void> {
  for await (const printed of session.rows(Buffer.from(statements))) void printed;
}

function notCopied(how: string): Stop {
  if (DISK_FULL.test(how))
    return new Stop(
      EXIT.noSpace,
      `The database's disk filled up while rows were copied, and nothing of them is kept: ${how}.`,
      "Free some space there, then run the same command again.",
    );
  return new Stop(
    EXIT.failed,
    `The rows could not be copied, and nothing of them is kept: psql ended with ${how}.`,
    "`npx budgie status` shows how the server is. Then run the same command again, or use --into NAME instead of --table.",
  );
}
