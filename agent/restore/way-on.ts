import type pg from "pg";
import type { TableShape } from "./table-shape.ts";

/** What an operator may type once a copy is there. */
export interface WayOn {
  /** Statements for psql. */
  take: string;
  /** What the statement does, and what to know before it is typed. */
  says: string;
}

interface LiveColumn {
  name: string;
  type: string;
  generated: boolean;
  always: boolean;
}

/** Looks at the live table, and says how the copy's rows get into it. The session is one in the live database. */
export async function wayOn(session: pg.Client, shape: TableShape, copy: string): Promise<WayOn> {
  const live = await readLive(session, shape.qualified);
  if (live === null)
    return {
      take: `CREATE TABLE ${shape.qualified} AS TABLE ${copy};`,
      says: `The live database has no table ${shape.qualified}. To have its rows there, without keys and defaults`,
    };
  const there = new Map(live.columns.map(column => [column.name, column]));
  const taken = shape.columns.filter(({ name }) => there.get(name)?.generated === false);
  const gone = shape.columns.filter(({ name }) => !there.has(name)).map(({ name }) => name);
  const names = taken.map(({ quoted }) => quoted).join(", ");
  const values = taken.map(column => selected(column, there.get(column.name))).join(", ");
  const overriding = taken.some(({ name }) => there.get(name)?.always) ? " OVERRIDING SYSTEM VALUE" : "";
  const unlessThere = live.hasKey ? " ON CONFLICT DO NOTHING" : "";
  const lost = gone.length === 0 ? "" : `, without ${gone.join(", ")}, which it has not any more`;
  return {
    take: `INSERT INTO ${shape.qualified} (${names})${overriding} SELECT ${values} FROM ${copy}${unlessThere};`,
    says: live.hasKey
      ? `To add to ${shape.qualified} the rows whose keys are not there${lost}`
      : `To add all rows to ${shape.qualified}${lost} (it has no key, so a row that is there would be there twice)`,
  };
}

/** Only what became text needs a cast. Any other one would cut off what is too long, where the INSERT itself refuses it. */
function selected(
  { quoted, type, replaced }: TableShape["columns"][number],
  live: LiveColumn | undefined,
): string {
  return live && replaced && type === "text" && live.type !== "text" ? `${quoted}::${live.type}` : quoted;
}

/** Null where there is no table of that name. */
async function readLive(
  session: pg.Client,
  qualified: string,
): Promise<{ columns: LiveColumn[]; hasKey: boolean } | null> {
  const { rows } = await session.query<{ columns: LiveColumn[]; hasKey: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisunique) AS "hasKey",
            (SELECT coalesce(json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod),
                                                        'generated', attgenerated <> '', 'always', attidentity = 'a')), '[]')
               FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
       FROM pg_class c WHERE c.oid = to_regclass($1) AND relkind IN ('r', 'p')`,
    [qualified],
  );
  return rows[0] ?? null;
}
