import type { Ask, Row } from "../server/questions.ts";
import type { LoadError } from "./load-error.ts";
import { identifier, note } from "./repair-lines.ts";
import type { Unloadable } from "./unloadable.ts";

// Rows that a constraint or an index forbids, and that are there all the same. Triggers were switched off, an index was damaged
// or sorted by another version of a collation, or somebody wrote to the system catalogue by hand.

const SHOWN = 5;

interface ForeignKey {
  name: string;
  child: string;
  parent: string;
  definition: string;
  partitioned: boolean;
  full: boolean;
  columns: string[];
  referenced: string[];
  operators: string[];
}

export async function missingReferences(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const found = /^insert or update on table "(.+)" violates foreign key constraint "(.+)"$/s.exec(
    error.message,
  );
  if (!found) return null;
  const [, table = "", name = ""] = found;
  const keys = await foreignKeys(ask, table, name, error.schema);
  const counted = await Promise.all(
    (keys ?? []).map(async key => ({ key, missing: await missingKeys(ask, key) })),
  );
  const at = counted.find(({ missing }) => missing !== null && missing.length > 0) ?? counted[0];
  if (!at) {
    const [shownTable, shownName] = [identifier(error.schema, table), identifier(name)];
    return {
      object: `the foreign key ${shownName} of ${shownTable}`,
      why: "rows refer to rows that do not exist",
      repair: [
        note("look at the key, which these lines need"),
        `SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = ${literal(name)};`,
        note(
          "remove the rows that refer to nothing, or add those that they refer to; or keep them as they are",
        ),
        `ALTER TABLE ${shownTable} DROP CONSTRAINT ${shownName}, ADD CONSTRAINT ${shownName} FOREIGN KEY (…) REFERENCES … (…) NOT VALID;`,
      ],
    };
  }
  const { key, missing } = at;
  return {
    object: `the foreign key ${key.name} of ${key.child}`,
    why: `rows of ${key.child} refer to rows of ${key.parent} that do not exist`,
    repair: missing?.length === 0 ? [] : repairReferences(key, missing),
  };
}

function repairReferences(key: ForeignKey, missing: Row[] | null): string[] {
  const { child, parent, columns, referenced, name, definition } = key;
  const rows = `FROM ${onlyOf(key)}${child} AS c WHERE ${referToNothing(key)}`;
  const first = missing?.[0];
  const listed = missing?.map(({ key, rows }) => `(${key}) in ${rows} rows`).join(", ");
  const rest = Number(first?.keys ?? 0) - (missing?.length ?? 0);
  return [
    ...(first
      ? [
          note(
            `${first.all_rows} rows of ${child} refer to ${first.keys} rows of ${parent} that do not exist: (${columns.join(", ")}) = ${listed}${rest > 0 ? `, and ${rest} more` : ""}`,
          ),
        ]
      : []),
    `SELECT * ${rows};`,
    note("either remove the rows that refer to nothing"),
    `DELETE ${rows};`,
    note(`or add to ${parent} what they refer to; its other columns get their defaults`),
    `INSERT INTO ${parent} (${referenced.join(", ")}) SELECT DISTINCT ${columns.map(column => `c.${column}`).join(", ")} ${rows};`,
    ...(key.partitioned
      ? []
      : [
          note("or keep them as they are; new rows are checked all the same"),
          `ALTER TABLE ${child} DROP CONSTRAINT ${name}, ADD CONSTRAINT ${name} ${definition} NOT VALID;`,
        ]),
  ];
}

/** The keys of this name on a table of this name. For a partition's key, the one that it comes from. */
async function foreignKeys(
  ask: Ask,
  table: string,
  name: string,
  schema: string | null,
): Promise<ForeignKey[] | null> {
  const columnsOf = (relation: string, numbers: string) =>
    `ARRAY(SELECT quote_ident(attname) FROM unnest(${numbers}) WITH ORDINALITY AS k (number, at)
             JOIN pg_attribute ON attrelid = ${relation} AND attnum = number ORDER BY at)`;
  const rows = await ask(
    `WITH RECURSIVE up AS (
       SELECT k.oid, conparentid FROM pg_constraint k JOIN pg_class r ON r.oid = conrelid
         JOIN pg_namespace n ON n.oid = relnamespace
        WHERE contype = 'f' AND conname = $1 AND relname = $2 AND ($3::text IS NULL OR nspname = $3)
       UNION SELECT k.oid, k.conparentid FROM up JOIN pg_constraint k ON k.oid = up.conparentid)
     SELECT quote_ident(conname) AS name, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
            regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') AS definition,
            relkind = 'p' AS partitioned, confmatchtype = 'f' AS full,
            ${columnsOf("conrelid", "conkey")} AS columns, ${columnsOf("confrelid", "confkey")} AS referenced,
            ARRAY(SELECT format('OPERATOR(%I.%s)', nspname, oprname) FROM unnest(conpfeqop) WITH ORDINALITY AS o (operator, at)
                    JOIN pg_operator p ON p.oid = operator JOIN pg_namespace n ON n.oid = oprnamespace ORDER BY at) AS operators
       FROM up JOIN pg_constraint k USING (oid) JOIN pg_class r ON r.oid = k.conrelid
      WHERE up.conparentid = 0 ORDER BY 2`,
    [name, table, schema],
  );
  return rows as ForeignKey[] | null;
}

/** The first few keys that are referred to and do not exist, with how many rows refer to each, and how many there are in all. */
function missingKeys(ask: Ask, key: ForeignKey): Promise<Row[] | null> {
  const values = key.columns.map(column => `coalesce(left(c.${column}::text, 60), 'NULL')`).join(", ");
  return ask(
    `SELECT concat_ws(', ', ${values}) AS key, count(*) AS rows, count(*) OVER () AS keys, sum(count(*)) OVER () AS all_rows
       FROM ${onlyOf(key)}${key.child} AS c WHERE ${referToNothing(key)}
      GROUP BY ${key.columns.map(column => `c.${column}`).join(", ")} ORDER BY 1 LIMIT ${SHOWN}`,
  );
}

function referToNothing({ parent, columns, referenced, operators, full }: ForeignKey): string {
  const equal = columns.map((column, at) => `p.${referenced[at]} ${operators[at]} c.${column}`).join(" AND ");
  const given = columns.map(column => `c.${column}`).join(", ");
  const concerned = full ? `num_nonnulls(${given}) > 0` : `num_nulls(${given}) = 0`;
  return `${concerned} AND NOT EXISTS (SELECT FROM ${parent} AS p WHERE ${equal})`;
}

/** A table's children by inheritance do not have its foreign keys; a partitioned table has its rows in nothing else. */
function onlyOf({ partitioned }: { partitioned: boolean }): string {
  return partitioned ? "" : "ONLY ";
}

export async function duplicateKeys(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const name = /^could not create unique index "(.+)"$/s.exec(error.message)?.[1];
  if (name === undefined) return null;
  const found = await ask(
    `SELECT i.indexrelid::regclass::text AS index, i.indrelid::regclass::text AS table, i.indnullsnotdistinct AS nulls,
            pg_get_expr(i.indpred, i.indrelid) AS predicate,
            ARRAY(SELECT pg_get_indexdef(i.indexrelid, at, false) FROM generate_series(1, i.indnkeyatts) AS at) AS keys
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE i.indisunique AND c.relname = $1 AND ($2::text IS NULL OR n.nspname = $2) ORDER BY 2`,
    [name, error.schema],
  );
  const indexes = (found ?? []) as {
    index: string;
    table: string;
    nulls: boolean;
    predicate: string | null;
    keys: string[];
  }[];
  const counted = await Promise.all(
    indexes.map(async index => {
      const { table, nulls, predicate, keys } = index;
      const where = [predicate ?? "true", nulls ? "true" : `num_nulls(${keys.join(", ")}) = 0`]
        .filter(condition => condition !== "true")
        .map(condition => ` AND ${condition}`)
        .join("");
      const repeated = `(SELECT ctid, row_number() OVER (PARTITION BY ${keys.join(", ")} ORDER BY ctid) AS nth FROM ONLY ${table} WHERE true${where})`;
      const [row] = (await ask(`SELECT count(*) AS rows FROM ${repeated} AS same WHERE nth > 1`)) ?? [];
      return { ...index, repeated, where, rows: row ? Number(row.rows) : null };
    }),
  );
  const at = counted.find(({ rows }) => rows !== null && rows > 0) ?? counted[0];
  if (!at) {
    return {
      object: `the unique index ${identifier(error.schema, name)}`,
      why: "rows have the same key",
      repair: [
        note(`${error.detail ?? ""} Remove all but one of such rows, and then`),
        `REINDEX INDEX ${identifier(error.schema, name)};`,
      ],
    };
  }
  const keys = at.keys.join(", ");
  return {
    object: `the unique index ${at.index} of ${at.table}`,
    why: "rows have the same key; the index was damaged, or sorted by another version of a collation",
    repair:
      at.rows === 0
        ? []
        : [
            note(
              `${at.rows ?? "some"} rows have a key (${keys}) that another row has as well. ${error.detail ?? ""}`,
            ),
            note("see them; the index itself may hide them"),
            "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;",
            `SELECT * FROM (SELECT ctid, *, count(*) OVER (PARTITION BY ${keys}) AS same FROM ONLY ${at.table} WHERE true${at.where}) AS t WHERE same > 1;`,
            note(
              "change their keys, or keep the first of each and remove the others; nothing that refers to them is touched",
            ),
            "BEGIN; SET LOCAL session_replication_role = replica;",
            `DELETE FROM ONLY ${at.table} WHERE ctid IN (SELECT ctid FROM ${at.repeated} AS same WHERE nth > 1);`,
            "COMMIT;",
            `REINDEX INDEX ${at.index};`,
          ],
  };
}

export async function conflictingRows(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const name = /^could not create exclusion constraint "(.+)"$/s.exec(error.message)?.[1];
  if (name === undefined) return null;
  const [at] =
    (await ask(
      `SELECT quote_ident(conname) AS name, conrelid::regclass::text AS table, pg_get_constraintdef(k.oid) AS definition,
              ARRAY(SELECT format('a.%1$I OPERATOR(%2$I.%3$s) b.%1$I', attname, nspname, oprname)
                      FROM unnest(conkey, conexclop) WITH ORDINALITY AS o (number, operator, at)
                      JOIN pg_attribute ON attrelid = conrelid AND attnum = number
                      JOIN pg_operator p ON p.oid = operator JOIN pg_namespace s ON s.oid = oprnamespace) AS conflicts,
              0 = ANY (conkey) AS computed
         FROM pg_constraint k JOIN pg_class r ON r.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE contype = 'x' AND conname = $1 AND ($2::text IS NULL OR nspname = $2)`,
      [name, error.schema],
    )) ?? [];
  const [shown, table] = [String(at?.name ?? identifier(name)), at?.table as string | undefined];
  const conflicts = (at?.conflicts as string[] | undefined)?.join(" AND ");
  const joined =
    at && !at.computed ? `FROM ${table} AS a JOIN ${table} AS b ON a.ctid < b.ctid AND ${conflicts}` : null;
  return {
    object: `the exclusion constraint ${shown}${table ? ` of ${table}` : ""}`,
    why: "rows conflict that it does not allow together",
    repair: [
      note(`change or remove one of each two rows that conflict. ${error.detail ?? ""}`),
      ...(joined ? [`SELECT a.*, b.* ${joined};`] : []),
      note("or do without the constraint; PostgreSQL knows no NOT VALID for this kind"),
      `ALTER TABLE ${table ?? "…"} DROP CONSTRAINT ${shown};`,
    ],
  };
}

export async function nullsInColumn(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const found =
    /^null value in column "(.+)" of relation "(.+)" violates not-null constraint$/s.exec(error.message) ??
    /^column "(.+)" of relation "(.+)" contains null values$/s.exec(error.message);
  if (!found) return null;
  const [, column = "", table = ""] = found;
  const tables = (await ask(
    `WITH RECURSIVE up AS (
       SELECT r.oid AS table, r.oid FROM pg_class r JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relname = $2 AND relkind IN ('r', 'p') AND ($3::text IS NULL OR nspname = $3)
       UNION SELECT up.table, inhparent FROM up JOIN pg_inherits ON inhrelid = up.oid)
     SELECT up.table::regclass::text AS table, quote_ident(attname) AS column,
            array_agg(up.oid::regclass::text ORDER BY up.oid <> up.table) FILTER (WHERE attnotnull) AS declared,
            bool_or(EXISTS (SELECT FROM pg_index WHERE indrelid = up.oid AND indisprimary AND attnum = ANY (indkey))) AS key
       FROM up JOIN pg_attribute ON attrelid = up.oid AND attname = $1 GROUP BY 1, 2 ORDER BY 1`,
    [column, table, error.schema],
  )) as { table: string; column: string; declared: string[] | null; key: boolean }[] | null;
  const counted = await Promise.all(
    (tables ?? []).map(async one => {
      const [row] =
        (await ask(`SELECT count(*) AS rows FROM ONLY ${one.table} WHERE num_nulls(${one.column}) > 0`)) ??
        [];
      return { ...one, rows: row ? Number(row.rows) : null };
    }),
  );
  const at = counted.find(({ rows }) => rows !== null && rows > 0) ??
    counted[0] ?? {
      table: identifier(error.schema, table),
      column: identifier(column),
      declared: null,
      key: false,
      rows: null,
    };
  const from = at.declared?.find(declared => declared !== at.table);
  const inherited = at.declared && !at.declared.includes(at.table) && from;
  return {
    object: `the column ${at.column} of ${at.table}`,
    why: inherited
      ? `rows have no value there; a reload makes it NOT NULL, because ${from} is`
      : "it is NOT NULL, and rows have no value there",
    repair:
      at.rows === 0
        ? []
        : [
            note(`${at.rows ?? "some"} rows have no ${at.column}`),
            `SELECT * FROM ONLY ${at.table} WHERE num_nulls(${at.column}) > 0;`,
            note("either give them a value"),
            `UPDATE ONLY ${at.table} SET ${at.column} = … WHERE num_nulls(${at.column}) > 0;`,
            ...(at.key
              ? []
              : [
                  note("or let the column have none"),
                  ...(at.declared ?? [at.table])
                    .toReversed()
                    .map(declared => `ALTER TABLE ${declared} ALTER COLUMN ${at.column} DROP NOT NULL;`),
                ]),
          ],
  };
}

export async function misplacedRows(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const name =
    /^(?:new row for relation "(.+)" violates partition constraint|partition constraint of relation "(.+)" is violated by some row)$/s
      .exec(error.message)
      ?.slice(1)
      .find(Boolean);
  if (name === undefined) return null;
  const partitions = (await ask(
    `SELECT r.oid::regclass::text AS partition, pg_partition_root(r.oid)::regclass::text AS root,
            pg_get_partition_constraintdef(r.oid) AS bound,
            (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
              WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
       FROM pg_class r JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relispartition AND relname = $1 AND ($2::text IS NULL OR nspname = $2) ORDER BY 1`,
    [name, error.schema],
  )) as { partition: string; root: string; bound: string; columns: string }[] | null;
  const counted = await Promise.all(
    (partitions ?? []).map(async one => {
      const [row] =
        (await ask(`SELECT count(*) AS rows FROM ${one.partition} WHERE NOT (${one.bound})`)) ?? [];
      return { ...one, rows: row ? Number(row.rows) : null };
    }),
  );
  const at = counted.find(({ rows }) => rows !== null && rows > 0) ?? counted[0];
  const partition = at?.partition ?? identifier(error.schema, name);
  return {
    object: `the partition ${partition}`,
    why: "it has rows that its bounds do not allow; they were attached unchecked, or a function or collation that the bounds use has changed",
    repair: !at
      ? [
          note(`move the rows that do not fit to the partition where they belong; its bounds are`),
          `SELECT pg_get_partition_constraintdef(${literal(partition)}::regclass);`,
        ]
      : at.rows === 0
        ? []
        : [
            note(`${at.rows ?? "some"} rows do not fit`),
            `SELECT * FROM ${partition} WHERE NOT (${at.bound});`,
            note(
              "put them where they belong; where no partition takes them, this changes nothing, and says so: make one first",
            ),
            `WITH moved AS (DELETE FROM ${partition} WHERE NOT (${at.bound}) RETURNING ${at.columns}) INSERT INTO ${at.root} (${at.columns}) OVERRIDING SYSTEM VALUE SELECT ${at.columns} FROM moved;`,
          ],
  };
}

export async function tooLongForIndex(error: LoadError, ask: Ask): Promise<Unloadable | null> {
  const found =
    /^index row (?:size \d+ exceeds .* for index "(.+)"|requires \d+ bytes, maximum size is \d+)$/s.exec(
      error.message,
    );
  if (!found) return null;
  const name = found[1] ?? /\bINDEX ("(?:[^"]|"")+"|[\w$]+) ON\b/.exec(error.statement ?? "")?.[1];
  if (name === undefined) return null;
  const [at] =
    (await ask(
      `SELECT i.indexrelid::regclass::text AS index, i.indrelid::regclass::text AS table,
              pg_get_indexdef(i.indexrelid) AS definition,
              NOT i.indisunique AND i.indnkeyatts = 1 AND i.indnatts = 1 AND i.indoption[0] = 0 AND k.oid IS NULL AS simple, quote_ident(k.conname) AS constraint
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
        WHERE c.relname = $1 AND ($2::text IS NULL OR n.nspname = $2) ORDER BY 2`,
      [name.replace(/^"|"$/g, "").replaceAll('""', '"'), error.schema],
    )) ?? [];
  const index = String(at?.index ?? identifier(error.schema, name));
  const drop = at?.constraint
    ? `ALTER TABLE ${at.table} DROP CONSTRAINT ${at.constraint};`
    : `DROP INDEX ${index};`;
  return {
    object: `the index ${index}${at ? ` of ${at.table}` : ""}`,
    why: "a value is too long for it; it fitted once, compressed",
    repair: [
      note(
        "shorten the value, or do without the index, or have one that takes values of any length (for = only)",
      ),
      drop,
      ...(at?.simple && String(at.definition).includes(" USING btree ")
        ? [`${String(at.definition).replace(" USING btree ", " USING hash ")};`]
        : []),
    ],
  };
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
