import type { Ask } from "../server/questions.ts";
import type { LoadError } from "./load-error.ts";
import { identifier, note } from "./repair-lines.ts";
import type { Unloadable } from "./unloadable.ts";

// CHECK constraints are checked row by row while the data is loaded. What they look at besides the row (other tables, the time,
// a function that was changed since) may not be what it was when the row was written. A constraint that is NOT VALID comes after
// the data, and holds only for new rows.

interface Check {
  name: string;
  /** Where it is declared; the tables that inherit from there have it from there. */
  table: string;
  definition: string;
  /** Tables below that declare it as well. */
  also: string[];
}

export async function violatedCheck(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const loaded = /^new row for relation "(?<table>.+)" violates check constraint "(?<name>.+)"$/s;
  const added = /^check constraint "(?<name>.+)" of relation "(?<table>.+)" is violated by some row$/s;
  const { table, name } = (loaded.exec(error.message) ?? added.exec(error.message))?.groups ?? {};
  if (!table || !name) return null;
  const checks = await checksNamed(ask, table, name, error.schema);
  const shown = checks?.[0] ?? {
    name: identifier(name),
    table: identifier(error.schema, table),
    definition: "CHECK (…)",
    also: [],
  };
  return {
    object: `the check constraint ${shown.name} of ${shown.table}`,
    why: "rows do not satisfy it while they are loaded: it looks at more than the row, or it changed after they were written",
    repair: [
      note(`see whether the rows are as they should be; the constraint says ${shown.definition}`),
      note("then keep them, and have only new rows checked"),
      ...(checks?.length ? checks : [shown]).flatMap(notValid),
    ],
  };
}

/** The checks that run while a table is loaded and use a function, for what goes wrong within it. */
export async function checksUsing(ask: Ask, functions: readonly string[]): Promise<string[]> {
  const rows = await ask(
    `SELECT DISTINCT conname::text AS name, conrelid::regclass::text AS table, relname::text AS relation, nspname::text AS schema
       FROM pg_depend d JOIN pg_constraint k ON k.oid = objid AND convalidated AND contype = 'c'
       JOIN pg_class r ON r.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
      WHERE classid = 'pg_constraint'::regclass AND refclassid = 'pg_proc'::regclass AND refobjid = ANY ($1::oid[])`,
    [functions],
  );
  const lines = new Set<string>();
  for (const { name, relation, schema } of rows ?? []) {
    const checks = await checksNamed(ask, String(relation), String(name), String(schema));
    for (const line of (checks ?? []).flatMap(notValid)) lines.add(line);
  }
  return [...lines];
}

async function checksNamed(
  ask: Ask,
  table: string,
  name: string,
  schema: string | null,
): Promise<Check[] | null> {
  const rows = await ask(
    `WITH RECURSIVE up AS (
       SELECT r.oid FROM pg_class r JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relname = $2 AND relkind IN ('r', 'p') AND ($3::text IS NULL OR nspname = $3)
       UNION SELECT inhparent FROM up JOIN pg_inherits ON inhrelid = up.oid),
     roots AS (
       SELECT k.* FROM up JOIN pg_constraint k ON conrelid = up.oid
        WHERE conname = $1 AND contype = 'c' AND coninhcount = 0),
     down AS (
       SELECT roots.oid AS root, conrelid AS oid FROM roots
       UNION SELECT root, inhrelid FROM down JOIN pg_inherits ON inhparent = down.oid)
     SELECT quote_ident(conname) AS name, conrelid::regclass::text AS table,
            regexp_replace(pg_get_constraintdef(roots.oid), ' NOT VALID$', '') AS definition,
            ARRAY(SELECT k.conrelid::regclass::text FROM down JOIN pg_constraint k ON k.conrelid = down.oid
                   WHERE root = roots.oid AND k.oid <> roots.oid AND k.conname = $1 AND k.contype = 'c' AND k.conislocal
                   ORDER BY 1) AS also
       FROM roots ORDER BY 2`,
    [name, table, schema],
  );
  return rows as Check[] | null;
}

function notValid({ name, table, definition, also }: Check): string[] {
  return [
    `ALTER TABLE ${table} DROP CONSTRAINT ${name};`,
    ...also.map(child => `ALTER TABLE ${child} DROP CONSTRAINT ${name};`),
    `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition} NOT VALID;`,
  ];
}

export async function violatedDomain(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const violated = /^value for domain (.+) violates check constraint "(.+)"$/s.exec(error.message);
  const withoutNull = /^domain (.+) does not allow null values$/s.exec(error.message);
  const domain = violated?.[1] ?? withoutNull?.[1];
  if (domain === undefined) return null;
  if (!violated) {
    return {
      object: `the domain ${domain}`,
      why: "it is NOT NULL, and rows have no value there",
      repair: [
        note(`give the rows a value (${error.context.join("; ")}), or let the domain have none`),
        `ALTER DOMAIN ${domain} DROP NOT NULL;`,
      ],
    };
  }
  const name = violated[2] ?? "";
  const [at] =
    (await ask(
      `SELECT quote_ident(conname) AS name, regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') AS definition
         FROM pg_constraint k JOIN pg_type t ON t.oid = contypid
        WHERE conname = $1 AND format_type(t.oid, NULL) = $2`,
      [name, domain],
    )) ?? [];
  const [shown, definition] = [String(at?.name ?? identifier(name)), String(at?.definition ?? "CHECK (…)")];
  return {
    object: `the constraint ${shown} of the domain ${domain}`,
    why: "values do not satisfy it while they are loaded: it looks at more than the value, or it changed after they were written",
    repair: [
      note(`see whether the values are as they should be; the constraint says ${definition}`),
      note("then keep them, and have only new values checked"),
      `ALTER DOMAIN ${domain} DROP CONSTRAINT ${shown};`,
      `ALTER DOMAIN ${domain} ADD CONSTRAINT ${shown} ${definition} NOT VALID;`,
    ],
  };
}
