import type { Ask } from "../server/questions.ts";
import type { LoadError } from "./load-error.ts";
import { note } from "./repair-lines.ts";
import type { Unloadable } from "./unloadable.ts";

// An index or generated column was made while its function was IMMUTABLE, and in a reload the function is not. pg_dump writes
// nothing of an extension's functions, so they come back as the extension makes them. A function of one's own was altered later.

const SHOWN = 10;

export interface FunctionInUse {
  oid: string;
  signature: string;
  schema: string;
  name: string;
  /** The types of its arguments, and of what it returns. */
  takes: string;
  returns: string;
  arguments: number;
  strict: boolean;
  /** The extension that it belongs to. */
  extension: string | null;
  /** What it is in the live database. */
  immutable: boolean;
}

/** What uses functions, and is made of an expression. */
interface User {
  /** In words. */
  object: string;
  /** The lines that take it away and make it again, in this order. */
  drop: string;
  create: string;
  functions: string[];
}

export async function notImmutable(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const what =
    /^functions in (index expression|index predicate|partition key expression) must be marked IMMUTABLE$/.exec(
      error.message,
    )?.[1] ?? (error.message === "generation expression is not immutable" ? "generated column" : undefined);
  if (what === undefined) return null;
  const functions = (await functionsAtFault(ask, what)) ?? [];
  const users = await usersOf(
    ask,
    functions.map(({ oid }) => oid),
    what,
  );
  const named = users.filter(({ object }) => isNamedIn(object, error.statement));
  const shown = named.length > 0 ? named : users;
  const first = shown[0];
  if (!first) {
    return {
      object: objectIn(error, what),
      why: "it uses a function that is not IMMUTABLE any more, or that only an ALTER FUNCTION made so, which no dump of an extension has",
      repair: [
        note(
          "an own function: ALTER FUNCTION … IMMUTABLE. An extension's: write an own one that calls it by its full name,",
        ),
        "CREATE FUNCTION public.own_name(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT schema.its_name($1)';",
        note("then drop what uses the extension's, and make it again with the own one"),
      ],
    };
  }
  const used = functions.filter(({ oid }) => shown.some(user => user.functions.includes(oid)));
  const own = used.filter(({ extension }) => extension === null);
  const foreign = used.filter(({ extension }) => extension !== null);
  return {
    object: first.object,
    why: [
      ...own.map(({ signature }) => `${signature} was altered to be not IMMUTABLE after it was made`),
      ...foreign.map(
        ({ signature, extension }) =>
          `${signature} is IMMUTABLE only by an ALTER FUNCTION, and comes back as the extension ${extension} makes it`,
      ),
    ].join("; "),
    repair: [
      ...own.map(({ signature }) => `ALTER FUNCTION ${signature} IMMUTABLE;`),
      ...(foreign.length === 0
        ? []
        : wrapAll(
            foreign,
            users.filter(user => foreign.some(({ oid }) => user.functions.includes(oid))),
          )),
    ],
  };
}

/** The repair: own functions that call those of an extension by their full names, and whatever used these made again with them. */
export function wrapAll(functions: readonly FunctionInUse[], users: readonly User[], setting = ""): string[] {
  const wrapped = (text: string) =>
    functions.reduce(
      (changed, { schema, name }) =>
        changed.replaceAll(`${schema}.${name}(`, `${schema}.${wrapperOf(name)}(`),
      text,
    );
  return [
    "BEGIN;",
    ...functions.map(({ schema, name, takes, returns, arguments: count, strict }) => {
      const passed = Array.from({ length: count }, (_, at) => `$${at + 1}`).join(", ");
      return `CREATE FUNCTION ${schema}.${wrapperOf(name)}(${takes}) RETURNS ${returns} LANGUAGE sql IMMUTABLE${strict ? " STRICT" : ""} PARALLEL SAFE${setting} AS 'SELECT ${schema}.${name}(${passed})';`;
    }),
    ...users.slice(0, SHOWN).flatMap(({ drop, create }) => [drop, wrapped(create)]),
    "COMMIT;",
    ...(users.length > SHOWN ? [note(`${users.length - SHOWN} more use it; the next drill names them`)] : []),
    note("queries that are to use the index say the new function as well"),
  ];
}

function wrapperOf(name: string): string {
  return name.startsWith('"') ? `"immutable_${name.slice(1)}` : `immutable_${name}`;
}

/** Of the functions that are used where only IMMUTABLE ones may be: those that are not, or else those of an extension that were altered. */
async function functionsAtFault(ask: Ask, what: string): Promise<FunctionInUse[] | null> {
  const rows = (await ask(
    `SELECT DISTINCT p.oid::text, p.oid::regprocedure::text AS signature, quote_ident(nspname) AS schema,
            quote_ident(proname) AS name, pronargs AS arguments, proisstrict AS strict, quote_ident(extname) AS extension,
            provolatile = 'i' AS immutable, format_type(prorettype, NULL) AS returns,
            (SELECT coalesce(string_agg(format_type(type, NULL), ', ' ORDER BY at), '')
               FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS a (type, at)) AS takes,
            p.xmin::text <> e.xmin::text AS altered
       FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid JOIN pg_namespace n ON n.oid = pronamespace
       LEFT JOIN pg_depend m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid AND m.deptype = 'e'
       LEFT JOIN pg_extension e ON e.oid = m.refobjid
      WHERE d.refclassid = 'pg_proc'::regclass AND nspname <> 'pg_catalog' AND ${usesIn(what)}`,
  )) as (FunctionInUse & { altered: boolean | null })[] | null;
  if (rows === null) return null;
  const changed = rows.filter(({ immutable }) => !immutable);
  if (changed.length > 0) return changed;
  const foreign = rows.filter(({ extension }) => extension !== null);
  // What CREATE EXTENSION made has the transaction of that. After an ALTER EXTENSION … UPDATE this tells nothing.
  const altered = foreign.filter(one => one.altered);
  return altered.length > 0 ? altered : foreign;
}

function usesIn(what: string): string {
  if (what === "generated column")
    return `d.classid = 'pg_attrdef'::regclass AND EXISTS (
      SELECT FROM pg_attrdef f JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
       WHERE f.oid = d.objid AND attgenerated <> '')`;
  const kinds = what === "partition key expression" ? "'p'" : "'i', 'I'";
  return `d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class WHERE oid = d.objid AND relkind IN (${kinds}))`;
}

/** The indexes or generated columns that use any of the functions; a partition's index belongs to the one above it. */
export async function usersOf(ask: Ask, functions: readonly string[], what: string): Promise<User[]> {
  const indexes = `
    SELECT format('the index %s of %s', i.indexrelid::regclass, i.indrelid::regclass) AS object,
           CASE WHEN k.oid IS NULL THEN format('DROP INDEX %s;', i.indexrelid::regclass)
                ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', k.conrelid::regclass, k.conname) END AS drop,
           CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid) || ';'
                ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s;', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) END AS create,
           array_agg(DISTINCT d.refobjid::text) AS functions
      FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid JOIN pg_class c ON c.oid = i.indexrelid
      LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'x'
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = ANY ($1::oid[])
       AND NOT c.relispartition
     GROUP BY i.indexrelid, i.indrelid, k.oid ORDER BY 1`;
  const columns = `
    SELECT format('the generated column %I of %s', attname, adrelid::regclass) AS object,
           format('ALTER TABLE %s DROP COLUMN %I;', adrelid::regclass, attname) AS drop,
           format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED;', adrelid::regclass, attname,
                  format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)) AS create,
           array_agg(DISTINCT d.refobjid::text) AS functions
      FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
     WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = ANY ($1::oid[])
       AND attgenerated <> '' AND attinhcount = 0
     GROUP BY adrelid, attname, atttypid, atttypmod, adbin ORDER BY 1`;
  const tables = `
    SELECT format('the partitioned table %s', d.objid::regclass) AS object,
           '-- make the table anew, by its partitions, with the own function in its key; the key is' AS drop,
           '-- ' || pg_get_partkeydef(d.objid) AS create, array_agg(DISTINCT d.refobjid::text) AS functions
      FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND relkind = 'p'
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = ANY ($1::oid[])
     GROUP BY d.objid ORDER BY 1`;
  const sql = what === "generated column" ? columns : what === "partition key expression" ? tables : indexes;
  return ((await ask(sql, [functions])) ?? []) as unknown as User[];
}

/** `the index public.t22_unaccent_idx of public.t22`, of `CREATE INDEX t22_unaccent_idx ON public.t22 …`. */
function isNamedIn(object: string, statement: string | null): boolean {
  if (statement === null) return false;
  const [, name = "", table = ""] = /^the .*? (\S+) of (.+)$/.exec(object) ?? [];
  const bare = name.replace(/^.*\.(?=(?:"[^"]*"|[^".]+)$)/, "");
  return bare !== "" && statement.includes(bare) && statement.includes(table);
}

function objectIn({ statement }: LoadError, what: string): string {
  const index = /INDEX (\S+) ON (?:ONLY )?(\S+)/.exec(statement ?? "");
  if (index) return `the index ${index[1]} of ${index[2]}`;
  const table = /CREATE (?:UNLOGGED )?TABLE (\S+)/.exec(statement ?? "");
  if (table) return `a ${what} of ${table[1]}`;
  return what === "generated column"
    ? "a generated column"
    : what.replace(/^/, "an ").replace("an partition", "a partition");
}
