/**
 * The user of psql, pg_dump and pg_restore. It can read neither a secret nor a backup, and throw-away servers run as another one.
 * It is not in /etc/passwd, because none of the three asks for that.
 */
export const NOBODY = { uid: 5433, gid: 5433 } as const;
