import type pg from "pg";
import { type RunAs, startReader } from "../base/child-process.ts";
import { failureOf, pgDumpArguments, requireGoodEnd } from "../dump/pg-dump.ts";
import { DumpReader } from "../dump/reader.ts";
import { type DumpSchema, SchemaCollector, type SequencePosition, schemaSql } from "../dump/schema.ts";
import { withOptions } from "../server/client-programs.ts";
import { encodingOfSessions } from "../server/connection.ts";
import { type LoadTarget, loadSql, type ReadDumpSql } from "./load-sql.ts";
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
  withLoaded<T>(sql: string, work: (database: string) => Promise<T>): Promise<T | null>;
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
    ...(await sequenceDifferences(file.sequences, target.session)),
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
  const { rows } = await session.query<{ server_encoding: string }>("SHOW server_encoding");
  const client_encoding = encodingOfSessions(rows[0]?.server_encoding ?? "");
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

const AT_ONCE = 200;

async function sequenceDifferences(
  positions: readonly SequencePosition[],
  session: pg.Client,
): Promise<string[]> {
  const differences: string[] = [];
  for (let from = 0; from < positions.length; from += AT_ONCE) {
    const some = positions.slice(from, from + AT_ONCE);
    const found = await readPositions(some, session);
    for (const [n, wanted] of some.entries()) {
      const is = found.get(n);
      if (is && is.value === wanted.value && is.called === wanted.called) continue;
      differences.push(`the sequence ${wanted.name} stands at ${shown(is)} instead of ${shown(wanted)}`);
    }
  }
  return differences;
}

type Position = Pick<SequencePosition, "value" | "called">;

/** By their indices. Only sequences are read: a view of that name could do anything. */
async function readPositions(
  positions: readonly SequencePosition[],
  session: pg.Client,
): Promise<Map<number, Position>> {
  const { rows: sequences } = await session.query<{ n: number; name: string }>(
    `SELECT (n - 1)::int AS n, format('%I.%I', nspname, relname) AS name
       FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, n)
       JOIN pg_class c ON c.oid = to_regclass(wanted.name) AND relkind = 'S'
       JOIN pg_namespace s ON s.oid = relnamespace`,
    [positions.map(({ name }) => name)],
  );
  if (sequences.length === 0) return new Map();
  const reads = sequences.map(
    ({ n, name }) => `SELECT ${n} AS n, last_value::text AS value, is_called AS called FROM ${name}`,
  );
  const { rows } = await session.query<Position & { n: number }>(reads.join(" UNION ALL "));
  return new Map(rows.map(({ n, ...position }) => [n, position]));
}

function shown(position: Position | undefined): string {
  if (!position) return "nothing";
  return position.called ? position.value : `${position.value}, not used yet,`;
}

/** What `withLoaded` loads with: the same reader and the same rules as for a dump. Returns whether psql took it. */
export async function loadSchemaText(sql: string, target: LoadTarget): Promise<boolean> {
  const read: ReadDumpSql = async take => {
    await take(Buffer.from(sql));
    return null;
  };
  const { end } = await loadSql(read, target, () => undefined);
  return end.code === 0;
}
