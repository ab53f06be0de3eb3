/**
 * Told to Pulumi by `npx budgie upgrade` alone: from which version of PostgreSQL to which the data is on its way. It counts only while the
 * engine has the volume in which all of the old data is kept, which is labelled with the same.
 */
export const UPGRADE_VARIABLE = "BUDGIE_UPGRADE";

/** `16-17`. */
export function shownUpgrade({ from, to }: { from: string; to: string }): string {
  return `${from}-${to}`;
}

/**
 * The notes of progress of an upgrade, or of a recovery of a broken volume. In the volume that is kept: that all is in it, and later that the
 * database is back. In the volume that is being emptied: the name of the one in which all is kept.
 */
export const PROGRESS_NOTE = ".budgie-recovery";
export const ALL_IS_KEPT = "sha256 of all";
export const DATABASE_IS_BACK = "the database is back";
