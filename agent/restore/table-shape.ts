import type pg from "pg";
import type { Found } from "./wanted-tables.ts";

/** A column as a copy has it. */
export interface Column {
  name: string;
  /** Quoted where needed. */
  quoted: string;
  /** The type that the copy has: PostgreSQL's own, because the types of a backup need not be those of the live database. */
  type: string;
  /** Whether that is another one than the column's. */
  replaced: boolean;
}

/** A table that is to be copied, as it is in the backup. */
export interface TableShape extends Found {
  /** Without those that PostgreSQL computes: they are no rows of the table's. */
  columns: Column[];
  /** Where its rows lie, qualified: the table itself, or its partitions. */
  parts: string[];
  /** On disk. */
  bytes: number;
  /** What a copy of its rows lacks, for a person. */
  leftOut: string[];
}

/** Reads what a table is like. The session is one in its database. */
export async function readShape(session: pg.Client, table: Found): Promise<TableShape> {
  const [columns, parts, facts] = [
    await readColumns(session, table),
    await readParts(session, table),
    await readFacts(session, table),
  ];
  const others = columns.filter(({ replaced }) => replaced).map(({ name }) => name);
  return {
    ...table,
    columns,
    parts: parts.map(({ qualified }) => qualified),
    bytes: parts.reduce((sum, part) => sum + Number(part.bytes), 0),
    leftOut: [...describe(facts), ...(others.length === 0 ? [] : [`the types of ${others.join(", ")}`])],
  };
}

/**
 * A domain's columns get the type that it is made of. Every other type that is not PostgreSQL's own becomes text, and so do types
 * whose values are names of objects: in another database they need not be there.
 */
async function readColumns(session: pg.Client, { oid }: Found): Promise<Column[]> {
  const { rows } = await session.query<Column>(
    `WITH RECURSIVE resolved AS (
       SELECT attnum, attname, atttypid AS type, atttypmod AS typmod, false AS replaced FROM pg_attribute
        WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
       UNION ALL
       SELECT attnum, attname, typbasetype, typtypmod, true FROM resolved r JOIN pg_type t ON t.oid = r.type WHERE typtype = 'd')
     SELECT attname::text AS name, quote_ident(attname) AS quoted,
            CASE WHEN own THEN format_type(type, typmod) ELSE 'text' END AS type, replaced OR NOT own AS replaced
       FROM (SELECT r.*, t.oid < 16384 AND typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
                         AND typname !~ '^_?(reg|aclitem)' AS own
               FROM resolved r JOIN pg_type t ON t.oid = r.type WHERE typtype <> 'd') AS based ORDER BY attnum`,
    [oid],
  );
  return rows;
}

async function readParts(
  session: pg.Client,
  { oid, kind }: Found,
): Promise<{ qualified: string; bytes: string }[]> {
  const { rows } = await session.query<{ qualified: string; bytes: string }>(
    `SELECT format('%I.%I', nspname, relname) AS qualified, pg_table_size(c.oid)::text AS bytes
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind = 'r' AND CASE WHEN $2 THEN c.oid IN (SELECT relid FROM pg_partition_tree($1::oid) WHERE isleaf) ELSE c.oid = $1::oid END
      ORDER BY 1`,
    [oid, kind === "p"],
  );
  return rows;
}

interface Facts {
  constraints: { kind: string; count: number }[];
  indexes: number;
  triggers: number;
  policies: number;
  rules: number;
  notNull: number;
  defaults: string[];
  identity: string[];
  generated: string[];
  children: string[];
  foreignPartitions: string[];
  granted: boolean;
}

async function readFacts(session: pg.Client, { oid }: Found): Promise<Facts> {
  const { rows } = await session.query<Facts>(
    `WITH columns AS (SELECT * FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped)
     SELECT (SELECT coalesce(json_agg(json_build_object('kind', contype, 'count', n)), '[]')
               FROM (SELECT contype, count(*) AS n FROM pg_constraint WHERE conrelid = $1 AND contype <> 'n' GROUP BY 1 ORDER BY 1) AS c) AS constraints,
            (SELECT count(*)::int FROM pg_index WHERE indrelid = $1
                AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = $1)) AS indexes,
            (SELECT count(*)::int FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal) AS triggers,
            (SELECT count(*)::int FROM pg_policy WHERE polrelid = $1) AS policies,
            (SELECT count(*)::int FROM pg_rewrite WHERE ev_class = $1) AS rules,
            (SELECT count(*)::int FROM columns WHERE attnotnull) AS "notNull",
            ARRAY(SELECT attname::text FROM columns WHERE atthasdef AND attgenerated = '' ORDER BY attnum) AS defaults,
            ARRAY(SELECT attname::text FROM columns WHERE attidentity <> '' ORDER BY attnum) AS identity,
            ARRAY(SELECT attname::text FROM columns WHERE attgenerated <> '' ORDER BY attnum) AS generated,
            ARRAY(SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
                   WHERE inhparent = $1 AND p.relkind = 'r' ORDER BY 1) AS children,
            ARRAY(SELECT relid::regclass::text FROM pg_partition_tree($1::oid::regclass) JOIN pg_class p ON p.oid = relid
                   WHERE isleaf AND p.relkind = 'f' ORDER BY 1) AS "foreignPartitions",
            (SELECT relacl IS NOT NULL FROM pg_class WHERE oid = $1) AS granted`,
    [oid],
  );
  const [facts] = rows;
  if (!facts) throw new Error("the table is gone");
  return facts;
}

const CONSTRAINTS: Readonly<Record<string, string>> = {
  p: "primary key",
  u: "unique constraint",
  f: "foreign key",
  c: "check",
  x: "exclusion constraint",
  t: "constraint trigger",
};

function describe(facts: Facts): string[] {
  const { constraints, defaults, identity, generated, children, foreignPartitions } = facts;
  const listed = (what: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${what} ${names.join(", ")}`];
  return [
    ...constraints.map(({ kind, count }) =>
      kind === "p" ? "the primary key" : counted(count, CONSTRAINTS[kind] ?? "constraint"),
    ),
    ...(facts.notNull > 0 ? ["NOT NULL"] : []),
    ...(facts.indexes > 0 ? [counted(facts.indexes, "index", "indexes")] : []),
    ...(facts.triggers > 0 ? [counted(facts.triggers, "trigger")] : []),
    ...(facts.policies > 0 ? [counted(facts.policies, "policy", "policies")] : []),
    ...(facts.rules > 0 ? [counted(facts.rules, "rule")] : []),
    ...listed("the defaults of", defaults),
    ...listed("the identity of", identity),
    ...listed("the generated", generated),
    ...listed("the rows of the tables that inherit from it:", children),
    ...listed("the rows of the foreign partitions", foreignPartitions),
    ...(facts.granted ? ["the grants"] : []),
  ];
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
