import type pg from "pg";

/** A database that a restore put aside when another one took its place. */
export interface SetAside {
  name: string;
  /** When it was; null where its name tells no moment that there is. */
  at: Date | null;
  bytes: number;
}

/** PostgreSQL marks a database so before it deletes its files. A drop that was ended in between leaves it, and it cannot be used. */
const HALF_DROPPED = -2;

/** When a restore set a database of this name aside, as its name has it; null for any other name. */
function momentOf(database: string, name: string): string | null {
  const prefix = `${database}_before_`;
  return name.startsWith(prefix) ? (/^\d{8}_\d{6}$/.exec(name.slice(prefix.length))?.[0] ?? null) : null;
}

/** What restores set aside, newest first, with the room that each takes. */
export async function setAsideDatabases(session: pg.Client, database: string): Promise<SetAside[]> {
  const names = await previousDatabases(session, database);
  const { rows } = await session.query<{ name: string; bytes: string }>(
    "SELECT datname::text AS name, pg_database_size(oid)::text AS bytes FROM pg_database WHERE datname = ANY($1)",
    [names],
  );
  const bytesOf = new Map(rows.map(({ name, bytes }) => [name, Number(bytes)]));
  return names.map(name => ({
    name,
    at: parseMoment(momentOf(database, name) ?? ""),
    bytes: bytesOf.get(name) ?? 0,
  }));
}

/** Their names, newest first. Without those that are dropped by half: there is nothing to go back to. */
export async function previousDatabases(session: pg.Client, database: string): Promise<string[]> {
  return (await named(session, database)).filter(({ half }) => !half).map(({ name }) => name);
}

/** Those whose drop was ended before it was done. */
export async function halfDroppedDatabases(session: pg.Client, database: string): Promise<string[]> {
  return (await named(session, database)).filter(({ half }) => half).map(({ name }) => name);
}

async function named(session: pg.Client, database: string): Promise<{ name: string; half: boolean }[]> {
  const { rows } = await session.query<{ name: string; half: boolean }>(
    "SELECT datname::text AS name, datconnlimit = $1 AS half FROM pg_database ORDER BY datname DESC",
    [HALF_DROPPED],
  );
  return rows.filter(({ name }) => momentOf(database, name) !== null);
}

/** `20251125_092704`, in UTC. */
function parseMoment(text: string): Date | null {
  const [, year, month, day, hour, minute, second] = /^(....)(..)(..)_(..)(..)(..)$/.exec(text) ?? [];
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at.getTime()) ? null : at;
}
