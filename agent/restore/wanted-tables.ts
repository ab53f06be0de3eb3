import { distance } from "fastest-levenshtein";
import type pg from "pg";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";

/** A relation of a database, and what kind PostgreSQL says that it is. */
export interface Found {
  oid: string;
  schema: string;
  name: string;
  /** The name, quoted where needed; and both. */
  quoted: string;
  qualified: string;
  kind: string;
  ofExtension: boolean;
}

/** As many names are told of where the one that was typed is not there. */
const SHOWN_NEAR = 5;

/** What else can have a table's name, and how it is called. */
const NO_TABLE: Readonly<Record<string, string>> = {
  v: "a view, which has no rows of its own",
  m: "a materialized view, which is made out of tables",
  f: "a foreign table, whose rows are elsewhere",
  S: "a sequence",
};

/** Every relation of the operator's own in the database of this session. */
export async function relationsIn(session: pg.Client): Promise<Found[]> {
  const { rows } = await session.query<Found>(
    `SELECT c.oid::text AS oid, nspname::text AS schema, relname::text AS name, quote_ident(relname) AS quoted,
            format('%I.%I', nspname, relname) AS qualified, relkind::text AS kind,
            EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e') AS "ofExtension"
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 2, 3`,
  );
  return rows;
}

/**
 * The tables that were asked for, each once. Throws a Stop for a name that none has or several have, for what is no table, and for
 * two that would have the same name in one schema.
 */
export function wantedTables(found: readonly Found[], typed: readonly string[], source: string): Found[] {
  const tables = new Map(
    typed.map(name => wantedTable(found, name, source)).map(table => [table.oid, table]),
  );
  const byName = new Map<string, Found>();
  for (const table of tables.values()) {
    const other = byName.get(table.name);
    if (other)
      throw new Stop(
        EXIT.usage,
        `${other.qualified} and ${table.qualified} cannot lie in one schema.`,
        "Copy them one after the other, each with a command of its own.",
      );
    byName.set(table.name, table);
  }
  return [...tables.values()];
}

function wantedTable(found: readonly Found[], typed: string, source: string): Found {
  const named = namedAs(found, typed);
  const [table, other] = named;
  if (!table) throw notThere(found, typed, source);
  if (other)
    throw new Stop(
      EXIT.usage,
      `${source} has several tables ${typed}.`,
      `Say which, with its schema: ${named.map(({ qualified }) => qualified).join(", ")}`,
    );
  const why = table.ofExtension ? "a table of an extension, which makes it anew" : NO_TABLE[table.kind];
  if (why === undefined) return table;
  throw refuse(
    `${table.qualified} in ${source} is ${why}`,
    "Name a table. To have all of the backup beside the live database, use --into instead of --table.",
  );
}

/** As it is spelled, or else as PostgreSQL reads a name without quotes. */
function namedAs(found: readonly Found[], typed: string): Found[] {
  const as = (text: string) => found.filter(table => spellings(table).includes(text));
  const exact = as(typed);
  return exact.length > 0 ? exact : as(typed.toLowerCase());
}

function spellings({ schema, name, qualified }: Found): string[] {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  return [name, quoted(name), `${schema}.${name}`, qualified, `${quoted(schema)}.${quoted(name)}`];
}

function notThere(found: readonly Found[], typed: string, source: string): Stop {
  const near = nearNames(
    typed,
    found.filter(({ kind, ofExtension }) => (kind === "r" || kind === "p") && !ofExtension),
  );
  return refuse(
    `There is no table ${typed} in ${source}`,
    near.length === 0 ? "It holds no table that could be copied." : `Did you mean: ${near.join(", ")}?`,
  );
}

/** The qualified names of the tables whose names are most like it, the nearest first. */
export function nearNames(typed: string, tables: readonly Pick<Found, "name" | "qualified">[]): string[] {
  const wanted = (typed.split(".").at(-1) ?? typed).replaceAll('"', "").toLowerCase();
  const far = (name: string) => {
    const lower = name.toLowerCase();
    return lower.includes(wanted) || wanted.includes(lower) ? 0 : distance(lower, wanted);
  };
  return [...tables]
    .sort((a, b) => far(a.name) - far(b.name) || a.qualified.localeCompare(b.qualified))
    .slice(0, SHOWN_NEAR)
    .map(({ qualified }) => qualified);
}
