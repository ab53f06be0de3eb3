import type pg from "pg";

/** What a name in a COPY statement stands for. */
export interface Relation {
  oid: number;
  kind: string;
  /** It was made by an extension, together with rows of the extension's own. */
  ofExtension: boolean;
  /** `WHERE …`: of an extension's own table, only these rows are in a dump. Null: all are. */
  condition: string | null;
}

/**
 * Null where there is no such relation, and for a name without its schema, as pg_dump wrote it before 2018: only psql knows
 * where that one is.
 */
export async function findRelation(
  session: pg.Client,
  name: Buffer,
  encoding: string,
): Promise<Relation | null> {
  const { rows } = await session.query<Relation>(
    `SELECT c.oid::int8::text::float8 AS oid, c.relkind::text AS kind,
            EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e') AS "ofExtension",
            (SELECT nullif(x.extcondition[array_position(x.extconfig, c.oid)], '') FROM pg_extension x
              WHERE c.oid = ANY (x.extconfig)) AS condition
       FROM pg_class c WHERE c.oid = to_regclass(convert_from($1, $2))`,
    [name, encoding],
  );
  return rows[0] ?? null;
}
