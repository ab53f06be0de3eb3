import pg from "pg";
import type { Ask, Row } from "../server/questions.ts";
import { checksUsing } from "./checks.ts";
import { type FunctionInUse, usersOf, wrapAll } from "./immutable.ts";
import type { LoadError } from "./load-error.ts";
import { note } from "./repair-lines.ts";
import type { Unloadable } from "./unloadable.ts";

const { escapeLiteral } = pg;

// While a dump is loaded, search_path is empty. So whatever runs then (functions in indexes, checks and generated columns, the
// queries of materialized views) finds a name only with its schema. Tables are filled one after the other, so what such a
// function looks at beside its arguments may not be there yet.

/** What PostgreSQL does not find, by its catalogue: the schemas that have one of this name. */
const CATALOGUES: Record<string, { table: string; name: string; schema: string }> = {
  relation: { table: "pg_class", name: "relname", schema: "relnamespace" },
  function: { table: "pg_proc", name: "proname", schema: "pronamespace" },
  procedure: { table: "pg_proc", name: "proname", schema: "pronamespace" },
  operator: { table: "pg_operator", name: "oprname", schema: "oprnamespace" },
  type: { table: "pg_type", name: "typname", schema: "typnamespace" },
  collation: { table: "pg_collation", name: "collname", schema: "collnamespace" },
  "text search configuration": { table: "pg_ts_config", name: "cfgname", schema: "cfgnamespace" },
  "text search dictionary": { table: "pg_ts_dict", name: "dictname", schema: "dictnamespace" },
};

interface MissingName {
  kind: string;
  name: string;
}

/** A function whose body failed, as the live database has it. */
interface FailedFunction extends FunctionInUse {
  /** `function` or `procedure`. */
  kind: string;
  eventTrigger: boolean;
}

export async function missingName(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const missing = missingIn(error.message);
  if (missing === null) return null;
  const schemas = await schemasOf(ask, missing);
  const [schema = "its_schema"] = schemas ?? [];
  const shown = `${missing.kind} ${missing.name}`;
  const why = `it names the ${shown} without its schema, and while a backup is loaded no schema is searched`;
  const named = functionNamedIn(error);
  if (named) {
    const found = await functionIn(ask, named, error);
    return {
      object: `the function ${found?.signature ?? named.shown}`,
      why,
      repair: await repairFunction(ask, error, found, named.shown, schemas, missing),
    };
  }
  const view = await viewIn(ask, error, missing);
  if (view) return { object: view.object, why, repair: repairView(view, error, missing, schema) };
  if (error.query === null) return null;
  return {
    object: `the query ${escapeLiteral(error.query)}`,
    why,
    repair: [
      note(
        `find the view or function that has the query as a text, and write ${schema}.${missing.name} in it`,
      ),
      `SELECT oid::regclass FROM pg_class WHERE relkind IN ('v', 'm') AND strpos(pg_get_viewdef(oid), ${escapeLiteral(error.query)}) > 0;`,
    ],
  };
}

/** Null for a name that comes with its schema: its object is not there yet, and no search_path helps. */
function missingIn(message: string): MissingName | null {
  const operator = /^operator does not exist: (.+)$/s.exec(message)?.[1];
  if (operator !== undefined) {
    const name = operator.split(/\s+/).find(word => /^[-+*/<>=~!@#%^&|`?]+$/.test(word));
    return name === undefined ? null : { kind: "operator", name };
  }
  const found =
    /^(relation|type|collation|text search \w+) "([^"]+)"(?: for encoding .*)? does not exist$/s.exec(
      message,
    ) ?? /^(function|procedure) ([^(]+)\(.*\) does not exist$/s.exec(message);
  const [, kind = "", name = ""] = found ?? [];
  return name === "" || name.includes(".") ? null : { kind, name };
}

async function schemasOf(ask: Ask, { kind, name }: MissingName): Promise<string[] | null> {
  const catalogue = CATALOGUES[kind];
  if (!catalogue) return null;
  const rows = await ask(
    `SELECT DISTINCT quote_ident(nspname) AS schema, nspname = 'public' AS public FROM ${catalogue.table}
       JOIN pg_namespace n ON n.oid = ${catalogue.schema}
      WHERE ${catalogue.name} = $1 AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 2 DESC, 1`,
    [name.replace(/^"|"$/g, "")],
  );
  return rows && rows.length > 0 ? rows.map(({ schema }) => String(schema)) : null;
}

interface NamedFunction {
  shown: string;
  /** The signature, where the context has it; else the name alone. */
  signature: string | null;
  name: string;
}

/** The innermost function at work. What failed is in its body. */
function functionNamedIn({ context }: LoadError): NamedFunction | null {
  for (const line of context) {
    const signature = /^PL\/pgSQL function (.+\)) line \d+/.exec(line)?.[1];
    if (signature) return { shown: signature, signature, name: "" };
    const name = /^(?:SQL|PL\/\w+) function "(.+)"/.exec(line)?.[1];
    if (name) return { shown: name, signature: null, name };
  }
  return null;
}

async function functionIn(
  ask: Ask,
  { signature, name }: NamedFunction,
  { query }: LoadError,
): Promise<FailedFunction | null> {
  const rows = await ask(
    `SELECT p.oid::text, p.oid::regprocedure::text AS signature, quote_ident(nspname) AS schema, quote_ident(proname) AS name,
            pronargs AS arguments, proisstrict AS strict, quote_ident(extname) AS extension, provolatile = 'i' AS immutable,
            format_type(prorettype, NULL) AS returns, prorettype = 'event_trigger'::regtype AS "eventTrigger",
            CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind,
            (SELECT coalesce(string_agg(format_type(type, NULL), ', ' ORDER BY at), '')
               FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS a (type, at)) AS takes
       FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
       LEFT JOIN pg_depend m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid AND m.deptype = 'e'
       LEFT JOIN pg_extension e ON e.oid = m.refobjid
      WHERE CASE WHEN $1::text IS NOT NULL THEN p.oid = to_regprocedure($1)
                 ELSE proname = $2 AND nspname <> 'pg_catalog' END
      ORDER BY strpos(prosrc, coalesce($3, '')) = 0, 2 LIMIT 1`,
    [signature, name, query],
  );
  return (rows?.[0] as FailedFunction | undefined) ?? null;
}

async function repairFunction(
  ask: Ask,
  error: LoadError,
  found: FailedFunction | null,
  shown: string,
  schemas: readonly string[] | null,
  missing: MissingName,
): Promise<string[]> {
  const path = [...new Set([...(schemas ?? []).slice(0, 1), ...(found ? [found.schema] : []), "public"])];
  if (found?.extension) {
    const users = await usersOf(ask, [found.oid], "index");
    return [
      note(
        `it is the extension ${found.extension}'s: no dump has what is altered about it, so an own function calls it`,
      ),
      ...wrapAll([found], users, ` SET search_path = ${path.join(", ")}`),
    ];
  }
  const kind = (found?.kind ?? "function").toUpperCase();
  const lines = [
    note("in its body, write the schema before each name; or say where its names are looked for"),
    `ALTER ${kind} ${found?.signature ?? shown} SET search_path = ${path.join(", ")};`,
  ];
  const readsTables = missing.kind === "relation" && error.context.some(line => line.startsWith("COPY "));
  const checks = found && readsTables ? await checksUsing(ask, [found.oid]) : [];
  if (checks.length > 0)
    lines.push(
      note("the table that it reads may be filled after the one that it checks, so check new rows only"),
    );
  return [...lines, ...checks];
}

/** A view whose definition holds, as a text, the query or the name that is not found. */
interface FailedView {
  object: string;
  name: string;
  materialized: boolean;
  definition: string;
  indexes: string[];
}

async function viewIn(ask: Ask, error: LoadError, missing: MissingName): Promise<FailedView | null> {
  const refreshed = /^REFRESH MATERIALIZED VIEW (.+?);?$/.exec(error.statement?.trim() ?? "")?.[1] ?? null;
  const text = error.query === null ? missing.name : escapeLiteral(error.query).slice(1, -1);
  const rows = (await ask(
    `SELECT format('the %s %s', CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, c.oid::regclass) AS object,
            c.oid::regclass::text AS name, relkind = 'm' AS materialized,
            rtrim(pg_get_viewdef(c.oid), ';') AS definition,
            ARRAY(SELECT pg_get_indexdef(indexrelid) || ';' FROM pg_index WHERE indrelid = c.oid ORDER BY 1) AS indexes
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('v', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema')
        AND strpos(pg_get_viewdef(c.oid), $1) > 0
      ORDER BY c.oid::regclass::text <> coalesce($2, ''), relkind = 'v', 1 LIMIT 1`,
    [text, refreshed],
  )) as FailedView[] | null;
  const [found] = rows ?? [];
  if (found && (error.query !== null || found.name === refreshed)) return found;
  return refreshed === null
    ? null
    : {
        object: `the materialized view ${refreshed}`,
        name: refreshed,
        materialized: true,
        definition: "",
        indexes: [],
      };
}

function repairView(view: FailedView, { query }: LoadError, { name }: MissingName, schema: string): string[] {
  const { materialized, definition, indexes } = view;
  const empty = `REFRESH MATERIALIZED VIEW ${view.name} WITH NO DATA;`;
  const inside = query === null ? null : escapeLiteral(query).slice(1, -1);
  const qualified = inside?.replace(
    new RegExp(`(?<![\\w.$"])${escapeRegExp(name)}(?![\\w$"])`, "g"),
    `${schema}.${name}`,
  );
  if (definition === "" || !inside || !qualified || qualified === inside) {
    return [
      note(`make it again with ${schema}.${name} in the place of ${name}; until then, have it empty`),
      ...(materialized ? [empty] : []),
    ];
  }
  const changed = definition.replaceAll(inside, qualified);
  if (!materialized)
    return [
      note(`its query as a text says ${name}; write ${schema}.${name}`),
      `CREATE OR REPLACE VIEW ${view.name} AS ${changed};`,
    ];
  return [
    note(
      `its query as a text says ${name}; write ${schema}.${name}. Its owner, grants and comments are to be given again`,
    ),
    "BEGIN;",
    `DROP MATERIALIZED VIEW ${view.name};`,
    `CREATE MATERIALIZED VIEW ${view.name} AS ${changed};`,
    ...indexes,
    "COMMIT;",
    note("or have it empty: then no backup fills it"),
    empty,
  ];
}

/** What is run while a dump is loaded, and fails for another reason than a name: it raises an error of its own, or divides by zero. */
export async function failingFunction(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const refreshed = /^REFRESH MATERIALIZED VIEW (.+?);?$/.exec(error.statement?.trim() ?? "")?.[1];
  const unfilled = /^materialized view "(.+)" has not been populated$/s.exec(error.message)?.[1];
  const named = functionNamedIn(error);
  const found = named && (await functionIn(ask, named, error));
  if (found?.eventTrigger) return eventTrigger(error, found, ask);
  const views = refreshed ? [refreshed] : found ? await viewsUsing(ask, found.oid) : [];
  const why = unfilled
    ? `it is filled before the materialized view ${unfilled}, which it reads within a function`
    : `it ends with an error while a backup is loaded: ${error.message}`;
  if (views.length > 0) {
    return {
      object: `the materialized view ${views[0]}`,
      why,
      repair: [
        note(
          "make it again with a query that needs nothing which a function hides; until then, have it empty: then no backup fills it",
        ),
        ...views.map(view => `REFRESH MATERIALIZED VIEW ${view} WITH NO DATA;`),
      ],
    };
  }
  if (!named) return null;
  const checks = found ? await checksUsing(ask, [found.oid]) : [];
  return {
    object: `the function ${found?.signature ?? named.shown}`,
    why,
    repair: [
      note(
        "while a backup is loaded, tables are filled one after the other and no schema is searched: the function must not mind",
      ),
      ...(checks.length > 0
        ? [note("or have the check that uses it hold for new rows only"), ...checks]
        : []),
    ],
  };
}

async function eventTrigger(error: LoadError, found: FailedFunction, ask: Ask): Promise<Unloadable> {
  const triggers = (await ask(
    "SELECT quote_ident(evtname) AS name FROM pg_event_trigger WHERE evtfoid = $1::oid AND evtenabled <> 'D' ORDER BY evtname",
    [found.oid],
  )) as Row[] | null;
  const names = triggers?.map(({ name }) => String(name)) ?? [];
  return {
    object: `the event trigger ${names[0] ?? `of ${found.signature}`}`,
    why: `its function ${found.signature} ends with an error while a backup is loaded: ${error.message}`,
    repair: [
      note(
        "let the function return for what a load does, such as REFRESH MATERIALIZED VIEW (tg_tag says what); or switch it off, which a backup keeps",
      ),
      ...names.map(name => `ALTER EVENT TRIGGER ${name} DISABLE;`),
    ],
  };
}

async function viewsUsing(ask: Ask, oid: string): Promise<string[]> {
  const rows = await ask(
    `SELECT DISTINCT c.oid::regclass::text AS name FROM pg_depend d
       JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class AND relkind = 'm' AND relispopulated
      WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = $1::oid ORDER BY 1`,
    [oid],
  );
  return rows?.map(({ name }) => String(name)) ?? [];
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
