/**
 * PostgreSQL keeps places for the receivers of its WAL (`max_wal_senders`) apart from those of its clients (`max_connections`). A
 * session that says that it may replicate has one of these places, and can do all that other sessions can, but for large objects and
 * the extended protocol. So clients can never take the last place from whoever looks after the database, not even clients that are
 * superusers, as the stack's own role is. `superuser_reserved_connections` would let those in.
 */
export const OWN_PLACE = { replication: "database" } as const;

const NAME = "budgie-own";
/** For psql and pg_dump, by libpq's connection service file: no argument and no variable of theirs can say it. */
export const OWN_SERVICE = {
  name: NAME,
  content: `[${NAME}]\n${Object.entries(OWN_PLACE)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("")}`,
} as const;

/** Whether this is what a program of PostgreSQL says when the clients have taken every place. */
export function saysCrowded(errors: string): boolean {
  return /too many clients already|connection slots are reserved/.test(errors);
}
