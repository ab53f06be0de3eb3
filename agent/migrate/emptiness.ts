import type pg from "pg";

/** What the API writes into a new database of its own. */
const OF_A_NEW_DATABASE = "public.backend_migrations";
const TABLES = `
  SELECT format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
   WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
     AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
   ORDER BY 1`;
const SHOWN = 5;

/**
 * What a database holds that somebody may miss, in words; null where it holds no row at all. A new database of Budgie's, whose API has
 * made its tables, holds none. Throws where a table cannot be looked into: what is in it is then not known.
 */
export async function heldIn(session: pg.Client): Promise<string | null> {
  const { rows } = await session.query<{ name: string }>(TABLES);
  const filled: string[] = [];
  for (const { name } of rows.filter(({ name }) => name !== OF_A_NEW_DATABASE)) {
    const found = await session.query<{ some: boolean }>(`SELECT EXISTS (SELECT FROM ONLY ${name}) AS some`);
    if (found.rows[0]?.some) filled.push(name);
  }
  const objects = await session.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_catalog.pg_largeobject_metadata",
  );
  const large = objects.rows[0]?.n ?? 0;
  const more = filled.length > SHOWN ? ` and ${filled.length - SHOWN} more` : "";
  if (filled.length > 0) return `rows in ${filled.slice(0, SHOWN).join(", ")}${more}`;
  return large > 0 ? `${large} large objects` : null;
}
