import { Writable } from "node:stream";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { silentProgress } from "../base/reporter.ts";
import { dump } from "../dump/pg-dump.ts";
import { DumpReader } from "../dump/reader.ts";
import { type DumpSchema, SchemaCollector, type SequencePosition } from "../dump/schema.ts";
import { differencesOf, sqlOfFile } from "../load/known-dump.ts";
import { schemaDifferences } from "../load/schema-differences.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { withOptions } from "../server/client-programs.ts";
import { encodingOfSessions, inDatabase } from "../server/connection.ts";
import type { ThrowawayServer } from "../throwaway/server.ts";

/** PostgreSQL writes a sequence's position to the WAL once for so many values, ahead of them. */
const LOGGED_AHEAD = 32n;

/** The backup that says what must be there. */
export interface Expected {
  path: string;
  shown: string;
  manifest: Manifest;
}

export interface ComparedRecovery {
  differences: string[];
  /** What is not in the WAL, and so not compared. */
  notes: string[];
}

/**
 * Dumps a recovered database and compares that with a backup of the very same state. The rows lie in the same order, because it is the
 * same file, page by page. What PostgreSQL does not write to the WAL is left out: the rows of unlogged tables, and each value of a
 * sequence.
 */
export async function compareRecovered(
  server: ThrowawayServer,
  database: string,
  expected: Expected,
): Promise<ComparedRecovery> {
  const { manifest } = expected;
  const found = await readDump(server, database);
  const unlogged = await unloggedOf(server, database, [
    ...manifest.tables.map(({ name }) => name),
    ...found.schema.sequences.map(({ name }) => name),
  ]);
  const logged = <T extends { name: string }>(all: readonly T[]) =>
    all.filter(({ name }) => !unlogged.has(name));
  const { schemaSha256 } = manifest;
  const differences = differencesOf(
    { schemaSha256, tables: logged(found.tables) },
    { schemaSha256, tables: logged(manifest.tables) },
  );
  const notes = unlogged.size === 0 ? [] : [`Not in the WAL, and not compared: ${[...unlogged].join(", ")}`];
  if (found.schemaSha256 === schemaSha256) return { differences, notes };
  const recorded = await readSchema(expected, server.lost);
  const moved = await sequenceDifferences(
    server,
    database,
    { recorded: logged(recorded.sequences), found: logged(found.schema.sequences) },
    manifest.walPosition?.quiet ?? false,
  );
  return {
    differences: [
      ...differences,
      ...schemaDifferences(recorded, found.schema),
      ...(recorded.largeObjectsSha256 === found.schema.largeObjectsSha256
        ? []
        : ["the contents of the large objects"]),
      ...moved.differences,
    ],
    notes: [...notes, ...moved.notes],
  };
}

async function readDump(server: ThrowawayServer, database: string) {
  const schema = new SchemaCollector();
  const pieces = new DumpReader(piece => schema.take(piece));
  const sink = new Writable({
    highWaterMark: 1 << 20,
    write(chunk: Buffer, _encoding, next) {
      try {
        pieces.read(chunk);
        next();
      } catch (error) {
        next(error as Error);
      }
    },
  });
  const client_encoding = await encodingOf(server, database);
  const client = withOptions(server.client, { client_encoding });
  const { tables, schemaSha256 } = await dump(
    { database, client, signal: server.lost },
    [sink],
    () => undefined,
  );
  pieces.end();
  return { tables, schemaSha256, schema: schema.finish() };
}

/** That the backup cannot be read says nothing of the recovery. */
async function readSchema({ path, shown }: Expected, signal: AbortSignal): Promise<DumpSchema> {
  const schema = new SchemaCollector();
  const pieces = new DumpReader(piece => schema.take(piece));
  try {
    const read = await sqlOfFile(path, shown, { progress: silentProgress, signal });
    await read(part => pieces.read(part));
    pieces.end();
    return schema.finish();
  } catch (error) {
    signal.throwIfAborted();
    throw new Stop(
      EXIT.failed,
      `What was recovered could not be compared with ${shown}: ${(error as Error).message.replace(/\.$/, "")}.`,
      "See what is wrong with that backup: npx budgie verify all",
    );
  }
}

function encodingOf(server: ThrowawayServer, database: string): Promise<string> {
  return ask(server, database, async query => {
    const [row] = await query<{ server_encoding: string }>("SHOW server_encoding");
    return encodingOfSessions(row?.server_encoding ?? "");
  });
}

type Query = <R extends object>(text: string, values?: unknown[]) => Promise<R[]>;

function ask<T>(
  { settings }: ThrowawayServer,
  database: string,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  return inDatabase(settings, database, "budgie drill", session =>
    work(async (text, values = []) => (await session.query(text, values)).rows),
  );
}

/** Of these tables and sequences. */
function unloggedOf(
  server: ThrowawayServer,
  database: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  return ask(server, database, async query => {
    const rows = await query<{ name: string }>(
      `SELECT DISTINCT name FROM unnest($1::text[]) AS name JOIN pg_class ON oid = to_regclass(name)
        WHERE relpersistence = 'u' ORDER BY name`,
      [names],
    );
    return new Set(rows.map(({ name }) => name));
  });
}

interface SequenceTraits {
  name: string;
  increment: string;
  cache: string;
  values: string;
  cycles: boolean;
}

async function sequenceDifferences(
  server: ThrowawayServer,
  database: string,
  { recorded, found }: Record<"recorded" | "found", readonly SequencePosition[]>,
  quiet: boolean,
): Promise<ComparedRecovery> {
  const traits = await ask(server, database, query =>
    query<SequenceTraits>(
      `SELECT name, seqincrement::text AS increment, seqcache::text AS cache, seqcycle AS cycles,
              (seqmax::numeric - seqmin + 1)::text AS values
         FROM unnest($1::text[]) AS name JOIN pg_sequence ON seqrelid = to_regclass(name)`,
      [recorded.map(({ name }) => name)],
    ),
  );
  const there = new Map(found.map(position => [position.name, position]));
  const knownTraits = new Map(traits.map(trait => [trait.name, trait]));
  const differences: string[] = [];
  const notes: string[] = [];
  for (const wanted of recorded) {
    const [is, trait] = [there.get(wanted.name), knownTraits.get(wanted.name)];
    // That it is missing shows in the schema.
    if (!is || !trait) continue;
    const ahead = valuesAhead(wanted, is, trait);
    if (ahead >= 0n && ahead <= LOGGED_AHEAD + BigInt(trait.cache)) continue;
    const said = `the sequence ${wanted.name} stands at ${is.value} instead of ${wanted.value}`;
    // It may have moved on after the snapshot: pg_dump reads where a sequence stands later.
    if (ahead < 0n && !quiet) notes.push(`${said}; it moved on while that backup was taken`);
    else differences.push(said);
  }
  return { differences, notes };
}

/** By how many values `is` is ahead of `wanted`; negative when it is behind. */
export function valuesAhead(
  wanted: Pick<SequencePosition, "value">,
  is: Pick<SequencePosition, "value">,
  { increment, values, cycles }: Pick<SequenceTraits, "increment" | "values" | "cycles">,
): bigint {
  const step = BigInt(increment);
  const ahead = (BigInt(is.value) - BigInt(wanted.value)) / step;
  if (!cycles || ahead >= 0n) return ahead;
  const size = step < 0n ? -step : step;
  return ahead + BigInt(values) / size;
}
