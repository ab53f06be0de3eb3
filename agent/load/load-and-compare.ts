import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { RunAs } from "../base/child-process.ts";
import type { DumpSchema } from "../dump/schema.ts";
import { connect, majorVersion } from "../server/connection.ts";
import { compareSchema, loadSchemaText } from "./compare-schema.ts";
import { type LoadedRows, loadRows } from "./load-rows.ts";
import type { ReadDumpSql } from "./load-sql.ts";

/** An empty database to load a dump into. */
export interface EmptyDatabase {
  /** Of the server that it is on: as whom and where the agent's own session connects. */
  settings: AgentSettings;
  name: string;
  /** `client` is for psql, which loads. `reader` reads back, and must see every row. */
  client: RunAs;
  reader: RunAs;
  signal: AbortSignal;
  /** Whether owners and grants are no part of the dump. */
  withoutOwners: boolean;
  /** How the dump writes money; null when that is not known. */
  lcMonetary: string | null;
  /** Tables whose rows come in several blocks. */
  inSeveralBlocks: ReadonlySet<string>;
  /** Whether there is memory enough to compare while the load goes on, and with two sessions. */
  atOnce: boolean;
  /** Makes another empty one like it, and removes it after `work`. */
  another<T>(work: (name: string) => Promise<T>): Promise<T>;
  /** Runs beside the comparison once all is loaded. */
  meanwhile?: (comparing: Promise<unknown>) => Promise<void>;
}

export interface Compared {
  /** One line for each thing that is not as in the dump. Empty: all that was compared is the same. */
  differences: string[];
  /** What is the same, and yet worth a word. */
  notes: string[];
  /** What could not be compared, and why. */
  notCompared: string[];
}

/** A dump that psql has loaded, perhaps not to its end, with the rows compared that are there. */
export interface LoadedDump extends LoadedRows {
  database: EmptyDatabase;
}

/** Loads a dump and compares its rows meanwhile. The caller must first look at how psql ended. */
export async function loadDump(read: ReadDumpSql, database: EmptyDatabase): Promise<LoadedDump> {
  const loaded = await withSession(database, database.name, async (session, major) =>
    loadRows(read, { ...targetOf(database, database.name, session, major) }),
  );
  return { ...loaded, database };
}

/** Compares the rest: every object, every sequence's position, every large object. */
export async function compareRest(loaded: LoadedDump): Promise<Compared> {
  const { database } = loaded;
  const schema = await schemaDifferencesOf(loaded.schema, database);
  return {
    differences: [
      ...loaded.miscounted,
      ...loaded.changed.map(name => `${name} has the right number of rows, but other values`),
      ...schema,
    ],
    notes: [
      ...(loaded.reordered.length === 0
        ? []
        : [`The same rows in another order: ${loaded.reordered.join(", ")}`]),
      ...whatWasLeftOut(loaded),
    ],
    notCompared: loaded.notReadable.map(
      name => `the rows of ${name}: they cannot be read back as the file has them`,
    ),
  };
}

/** Statements that were not loaded, and why. */
export function whatWasLeftOut({ leftOut, removals }: Pick<LoadedDump, "leftOut" | "removals">): string[] {
  const unknown = leftOut.map(name => `Left out, because this PostgreSQL does not know it: SET ${name}`);
  if (removals === 0) return unknown;
  return [
    ...unknown,
    `Left out, because there is nothing to remove in an empty database: ${removals} statements of pg_dump --clean`,
  ];
}

function schemaDifferencesOf(schema: DumpSchema, database: EmptyDatabase): Promise<string[]> {
  return withSession(database, database.name, session =>
    compareSchema(schema, {
      ...database,
      database: database.name,
      session,
      withLoaded: (sql, work) =>
        database.another(name =>
          withSession(database, name, async (other, major) => {
            const target = targetOf(database, name, other, major);
            return (await loadSchemaText(sql, target)) ? work(name) : null;
          }),
        ),
    }),
  );
}

function targetOf(database: EmptyDatabase, name: string, session: pg.Client, major: number) {
  const { client, reader, signal, lcMonetary, inSeveralBlocks, withoutOwners, atOnce, meanwhile } = database;
  return {
    database: name,
    client,
    reader,
    session,
    major,
    signal,
    lcMonetary,
    inSeveralBlocks,
    withoutOwners,
    atOnce,
    ...(meanwhile ? { meanwhile } : {}),
  };
}

async function withSession<T>(
  { settings }: EmptyDatabase,
  name: string,
  work: (session: pg.Client, major: number) => Promise<T>,
): Promise<T> {
  const session = await connect(settings, name, "budgie compare");
  try {
    const { rows } = await session.query<{ server_version: string }>("SHOW server_version");
    return await work(session, Number(majorVersion(rows[0]?.server_version ?? "0")));
  } finally {
    await session.end().catch(() => undefined);
  }
}
