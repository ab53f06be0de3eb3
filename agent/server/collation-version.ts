import type pg from "pg";

/** A version of the system's collation; null on a system that has none, such as Alpine. */
export interface CollationVersions {
  /** The one that sorted the database's texts. */
  made: string | null;
  now: string | null;
}

/** Null where there is no such database. */
export async function readCollationVersions(
  session: pg.Client,
  database: string,
): Promise<CollationVersions | null> {
  const { rows } = await session.query<CollationVersions>(
    "SELECT datcollversion AS made, pg_database_collation_actual_version(oid) AS now FROM pg_database WHERE datname = $1",
    [database],
  );
  return rows[0] ?? null;
}

/**
 * Warns when another version of the system's collation sorted the database's texts, as on a volume that came from another libc. Then
 * an index on text may miss rows. Empty when the versions are the same, or the collation has none.
 */
export async function collationWarnings(session: pg.Client, database: string): Promise<string[]> {
  const found = await readCollationVersions(session, database);
  if (!found || found.made === null || found.made === found.now) return [];
  return [
    `The texts of ${database} were sorted by version ${found.made} of the system's collation, and this system has ${found.now ?? "none"}: an index on text may miss rows. Build them anew: npx budgie reindex`,
  ];
}
