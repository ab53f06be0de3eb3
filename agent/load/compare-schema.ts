import type pg from "pg";
import { type RunAs, startReader } from "../base/child-process.ts";
import { bytesOfAnyText } from "../dump/any-text.ts";
import { failureOf, pgDumpArguments, requireGoodEnd } from "../dump/pg-dump.ts";
import { DumpReader } from "../dump/reader.ts";
import { type DumpSchema, SchemaCollector, type SequencePosition, schemaSql } from "../dump/schema.ts";
import { withOptions } from "../server/client-programs.ts";
import { encodingOfSessions, type SessionEncoding } from "../server/connection.ts";
import { type LoadTarget, loadSql, type ReadDumpSql } from "./load-sql.ts";
import { startRowReader } from "./row-reader.ts";
import { schemaDifferences } from "./schema-differences.ts";

export interface SchemaTarget {
  database: string;
  /** Reads as a superuser. */
  reader: RunAs;
  session: pg.Client;
  signal: AbortSignal;
  /** Whether the dump says nothing of owners and grants. */
  withoutOwners: boolean;
  /**
   * Loads SQL as the dump was loaded, into an empty database like the dump's, and runs `work` with that database. Returns null when
   * it does not load.
   */
  withLoaded<T>(sql: Buffer, work: (database: string) => Promise<T>): Promise<T | null>;
}

/**
 * How the loaded database differs from the dump in its schema, large objects and sequences, one line each.
 *
 * PostgreSQL may write an expression in another way after one reload. So where the text differs, the dump's own schema is loaded
 * once more by itself. What comes out of that must also have come out of the first load.
 */
export async function compareSchema(file: DumpSchema, target: SchemaTarget): Promise<string[]> {
  const loaded = await readSchema(target.database, target);
  const differences = [
    ...(await sequenceDifferences(file, target)),
    ...(file.largeObjectsSha256 === loaded.largeObjectsSha256 ? [] : ["the contents of the large objects"]),
  ];
  const byText = schemaDifferences(file, loaded);
  if (byText.length === 0) return differences;
  const again = await target.withLoaded(schemaSql(file), database => readSchema(database, target));
  return [...differences, ...(again === null ? byText : schemaDifferences(again, loaded))];
}

/** Everything that a dump of the database holds, without the tables' rows. */
async function readSchema(
  database: string,
  { reader, session, signal, withoutOwners }: SchemaTarget,
): Promise<DumpSchema> {
  const schema = new SchemaCollector();
  const pieces = new DumpReader(piece => schema.take(piece));
  const leaveOut = withoutOwners ? ["--no-owner", "--no-privileges"] : [];
  const args = pgDumpArguments(database, ["--exclude-table-data=*.*", ...leaveOut]);
  const client_encoding = await sessionEncoding(session);
  const client = withOptions(reader, { client_encoding });
  const started = startReader("pg_dump", args, "pipe", signal, client);
  const failure = await failureOf(
    (async () => {
      for await (const part of started.output) pieces.read(part);
      pieces.end();
    })(),
  );
  await requireGoodEnd({ database, signal }, started, failure);
  return schema.finish();
}

async function sessionEncoding(session: pg.Client): Promise<SessionEncoding> {
  const { rows } = await session.query<{ server_encoding: string }>("SHOW server_encoding");
  return encodingOfSessions(rows[0]?.server_encoding ?? "");
}

const AT_ONCE = 200;

async function sequenceDifferences(
  { sequences, encoding }: DumpSchema,
  target: SchemaTarget,
): Promise<string[]> {
  const differences: string[] = [];
  for (let from = 0; from < sequences.length; from += AT_ONCE) {
    const some = sequences.slice(from, from + AT_ONCE);
    const found = await readPositions(some, encoding, target);
    for (const [n, wanted] of some.entries()) {
      const is = found.get(n);
      if (is && is.value === wanted.value && is.called === wanted.called) continue;
      differences.push(`the sequence ${wanted.name} stands at ${shown(is)} instead of ${shown(wanted)}`);
    }
  }
  return differences;
}

type Position = Pick<SequencePosition, "value" | "called">;

/**
 * By their indices. Only sequences are read: a view of that name could do anything. Their names may be in any encoding, so that psql
 * takes them, and no client that knows UTF-8 alone.
 */
async function readPositions(
  positions: readonly SequencePosition[],
  encoding: string,
  { session, database, reader, signal }: SchemaTarget,
): Promise<Map<number, Position>> {
  const client_encoding = await sessionEncoding(session);
  const { rows: sequences } = await session.query<{ n: number; name: Buffer }>(
    `SELECT (n - 1)::int AS n, convert_to(format('%I.%I', nspname, relname), $3) AS name
       FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (name, n)
       JOIN pg_class c ON c.oid = to_regclass(convert_from(wanted.name, $2)) AND relkind = 'S'
       JOIN pg_namespace s ON s.oid = relnamespace`,
    [positions.map(({ name }) => bytesOfAnyText(name)), encoding, client_encoding],
  );
  if (sequences.length === 0) return new Map();
  const reads = sequences.map(({ n, name }, at) =>
    Buffer.concat([
      Buffer.from(`${at === 0 ? "COPY (" : " UNION ALL "}SELECT ${n}, last_value, is_called FROM `),
      name,
    ]),
  );
  const psql = startRowReader(database, withOptions(reader, { client_encoding }), signal);
  try {
    const said: Buffer[] = [];
    for await (const part of psql.rows(Buffer.concat([...reads, Buffer.from(") TO STDOUT;")])))
      said.push(Buffer.from(part));
    return new Map(linesOf(Buffer.concat(said)).map(positionOf));
  } finally {
    await psql.end();
  }
}

function linesOf(said: Buffer): string[] {
  return said.toString("latin1").split("\n").filter(Boolean);
}

function positionOf(line: string): [number, Position] {
  const [n = "", value = "", called] = line.split("\t");
  return [Number(n), { value, called: called === "t" }];
}

function shown(position: Position | undefined): string {
  if (!position) return "nothing";
  return position.called ? position.value : `${position.value}, not used yet,`;
}

/** What `withLoaded` loads with: the same reader and the same rules as for a dump. Returns whether psql took it. */
export async function loadSchemaText(sql: Buffer, target: LoadTarget): Promise<boolean> {
  const read: ReadDumpSql = async take => {
    await take(sql);
    return null;
  };
  const { end } = await loadSql(read, target, () => undefined);
  return end.code === 0;
}
