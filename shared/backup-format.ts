/**
 * How a backup is written. Each is restored by PostgreSQL's own tools alone: docs/guide.md has the line for each.
 * - `sql`, `sql.gz`, `sql.zst`: SQL text, as it is or compressed
 * - `dump`: pg_dump's custom format, which pg_restore loads with several connections
 * - `dir.tar`: pg_dump's directory format, which is also dumped with several connections, in one tar file
 */
export const BACKUP_FORMATS = ["sql", "sql.gz", "sql.zst", "dump", "dir.tar"] as const;
export type BackupFormat = (typeof BACKUP_FORMATS)[number];

/** For regular expressions: `sql|sql\.gz|…`. */
export const FORMAT_PATTERN = BACKUP_FORMATS.map(format => format.replace(".", "\\.")).join("|");

/** What pg_restore reads, and psql does not. */
export function isArchive(format: BackupFormat): boolean {
  return format === "dump" || format === "dir.tar";
}
