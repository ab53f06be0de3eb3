import pg from "pg";
import { CONVERTED, COSTS, MATTERS, type RowNeed, requireWritable, type ValueKind } from "./need.ts";

const { escapeIdentifier } = pg;

/** lz4 makes a value 1/255 of what it was at best, pglz 1/90. */
const BEST_COMPRESSION = 255;
/** How much of a value one row of a TOAST table holds. */
const CHUNK_BYTES = 1996;
/** As pg_dump waits for a table, which fails then too. */
const LOCK_WAIT = "60s";

interface LargeTable {
  /** As SQL has it. */
  name: string;
  toast: string;
  /** Sizes on disk. */
  tableBytes: number;
  toastBytes: number;
  toastIndexBytes: number;
  columns: Column[];
}

interface Column {
  name: string;
  kind: ValueKind;
  /** Whether octet_length tells its length as PostgreSQL declares it. */
  isText: boolean;
}

/**
 * The row that costs the server most, for each table that has a row that matters. Rows may change until a dump sees them. Throws a
 * Stop for a row that no pg_dump can write.
 *
 * No value is read. Its length stands in the row, and only tables that keep enough beside their rows (in TOAST) are looked through.
 * octet_length tells the length of text and bytea in that way. Here it is declared for every other type too, in a transaction that
 * is rolled back. Only a superuser may declare that. For another role, a value of another type that is compressed is read, and its
 * text is measured.
 */
export async function costlyRows(session: pg.Client, asSuperuser = true): Promise<RowNeed[]> {
  await session.query("BEGIN READ WRITE");
  try {
    await session.query(`
      SET LOCAL lock_timeout = '${LOCK_WAIT}';
      SET LOCAL statement_timeout = 0;
      SET LOCAL max_parallel_workers_per_gather = 0`);
    if (asSuperuser)
      await session.query(`
        SET LOCAL session_replication_role = replica; -- no event trigger of the operator's hears of the function
        CREATE FUNCTION pg_temp.budgie_length("any") RETURNS integer LANGUAGE internal STRICT AS 'byteaoctetlen'`);
    const converted = (await isConverted(session)) ? CONVERTED : 1;
    const needs: RowNeed[] = [];
    for (const table of await largeTables(session)) {
      // What is kept beside the rows is a superuser's to look at.
      if (asSuperuser && !(await hasLongValues(session, table))) continue;
      const need = await costliestRow(session, table, converted, asSuperuser);
      if (Math.max(need.dumping, need.loading) >= MATTERS) needs.push(need);
    }
    return needs;
  } finally {
    await session.query("ROLLBACK").catch(() => undefined);
  }
}

/** Dumps are UTF8. */
async function isConverted(session: pg.Client): Promise<boolean> {
  const { rows } = await session.query<{ server_encoding: string }>("SHOW server_encoding");
  return !["UTF8", "SQL_ASCII"].includes(rows[0]?.server_encoding ?? "");
}

/** Those whose data pg_dump writes out, and that can hold a row that matters. */
async function largeTables(session: pg.Client): Promise<LargeTable[]> {
  const { rows } = await session.query<LargeTable & { tableBytes: string; toastBytes: string }>(`
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.reltoastrelid::regclass::text AS toast,
           pg_relation_size(c.oid) AS "tableBytes", pg_relation_size(c.reltoastrelid) AS "toastBytes",
           pg_indexes_size(c.reltoastrelid) AS "toastIndexBytes",
           json_agg(json_build_object('name', a.attname, 'kind', ${KIND}, 'isText', ${IS_TEXT})) AS columns
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      JOIN pg_type t ON t.oid = a.atttypid AND t.typlen = -1
      JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
      LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.reltoastrelid <> 0
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     GROUP BY c.oid, n.nspname`);
  return rows
    .map(row => ({
      ...row,
      tableBytes: Number(row.tableBytes),
      toastBytes: Number(row.toastBytes),
      toastIndexBytes: Number(row.toastIndexBytes),
    }))
    .filter(table => table.toastBytes * BEST_COMPRESSION * highestCost(table) >= MATTERS);
}

/** Of the column's type `b`, a domain's own base, whose elements are of type `e`. */
const KIND = `CASE
  WHEN b.oid = 'bytea'::regtype THEN 'bytea'
  WHEN b.oid = 'jsonb'::regtype THEN 'jsonb'
  WHEN b.oid = 'xml'::regtype THEN 'xml'
  WHEN b.oid = 'json'::regtype OR b.typcategory = 'S' THEN 'text'
  WHEN b.typcategory = 'V' THEN 'bits'
  WHEN 'R' IN (b.typcategory, e.typcategory) THEN 'ranges'
  WHEN e.typcategory IN ('N', 'D', 'S', 'T', 'I', 'B', 'E') OR e.oid IN ('bytea'::regtype, 'uuid'::regtype)
    THEN CASE WHEN e.typlen IN (1, 2) THEN 'smallArrays' ELSE 'arrays' END
  WHEN b.typcategory IN ('A', 'C') THEN 'nested'
  ELSE 'other' END`;

const IS_TEXT = "t.oid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype)";

/** Of the column's value. */
function lengthOf({ name, isText }: Column, asSuperuser: boolean): string {
  const value = escapeIdentifier(name);
  if (asSuperuser) return `pg_temp.budgie_length(${value})`;
  if (isText) return `octet_length(${value})`;
  return `CASE WHEN pg_column_compression(${value}) IS NULL THEN pg_column_size(${value}) ELSE octet_length(${value}::text) END`;
}

/** Asks the index of TOAST, where that is smaller than the table: a long value has many pieces there. */
async function hasLongValues(session: pg.Client, table: LargeTable): Promise<boolean> {
  if (table.tableBytes <= table.toastIndexBytes) return true;
  const shortest = MATTERS / BEST_COMPRESSION / highestCost(table) / table.columns.length;
  const piece = Math.ceil(shortest / CHUNK_BYTES) - 1;
  await session.query("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off");
  const { rows } = await session.query<{ long: boolean }>(
    `SELECT EXISTS (SELECT FROM ${table.toast} WHERE chunk_seq = $1) AS long`,
    [piece],
  );
  await session.query("SET LOCAL enable_seqscan = on");
  return rows[0]?.long ?? true;
}

async function costliestRow(
  session: pg.Client,
  { name, columns }: LargeTable,
  converted: number,
  asSuperuser: boolean,
): Promise<RowNeed> {
  const most = (cost: keyof (typeof COSTS)[ValueKind]) => {
    const values = columns.map(
      column => `coalesce((${lengthOf(column, asSuperuser)})::bigint * ${COSTS[column.kind][cost]}, 0)`,
    );
    return `max(${values.join(" + ")}) AS "${cost}"`;
  };
  const { rows } = await session.query<Record<keyof (typeof COSTS)[ValueKind], string>>(
    `SELECT ${most("dumping")}, ${most("loading")}, ${most("written")}, ${most("writtenAtLeast")} FROM ONLY ${name}`,
  );
  const [row] = rows;
  requireWritable(name, Number(row?.writtenAtLeast));
  return {
    table: name,
    bytes: Number(row?.written),
    dumping: Number(row?.dumping) * converted,
    loading: Number(row?.loading),
  };
}

function highestCost({ columns }: LargeTable): number {
  return Math.max(...columns.map(({ kind }) => Math.max(COSTS[kind].dumping, COSTS[kind].loading)));
}
