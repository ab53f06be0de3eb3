import pg, { type ClientBase } from "pg";
import { Umzug } from "umzug";
import { usersAndSessions } from "./migrations/0001-users-and-sessions.ts";
import { ledgersAndTransactions } from "./migrations/0002-ledgers-and-transactions.ts";

export interface Migration {
  name: string;
  sql: string;
}

/** In order; one that has been released is never edited. Imported rather than read from disk, so that one bundle holds all. */
const migrations: Migration[] = [usersAndSessions, ledgersAndTransactions];

/** Held while migrating. The first number says whose lock it is ("budg" in ASCII), the second which. */
const ADVISORY_LOCK = [0x62756467, 1];

/** The schema cannot be brought up to date; starting again does not help by itself. */
export class MigrationsRefused extends Error {}

/**
 * SQLSTATEs after which the same migration may succeed: 08 connection lost, 53 out of resources, 55P03 a lock not had in time, 57 ended
 * from outside, 40 rolled back for another transaction.
 */
const PASSING = /^(?:08|53|55P03|57|40)/;

/**
 * Brings the schema up to date and gives the names of what it applied. A second backend that starts meanwhile waits, at most
 * 60 s. Each migration and the note that it was applied are one transaction.
 */
export async function migrate(client: ClientBase, wanted: Migration[] = migrations): Promise<string[]> {
  await client.query("SET statement_timeout = 0");
  await client.query("SET lock_timeout = '60s'");
  await client.query("SELECT pg_advisory_lock($1, $2)", ADVISORY_LOCK);
  try {
    await refuseForeignSchema(client);
    await client.query(`CREATE TABLE IF NOT EXISTS backend_migrations (
      name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`);
    await refuseNewerSchema(client, wanted);
    const applied = await umzug(client, wanted)
      .up()
      .catch((error: Error) => {
        // Umzug tells it in an error of its own.
        throw error.cause instanceof MigrationsRefused ? error.cause : error;
      });
    return applied.map(migration => migration.name);
  } finally {
    await client.query("SELECT pg_advisory_unlock($1, $2)", ADVISORY_LOCK).catch(() => {});
  }
}

function umzug(client: ClientBase, wanted: Migration[]): Umzug<ClientBase> {
  return new Umzug<ClientBase>({
    context: client,
    logger: undefined,
    migrations: wanted.map(migration => ({ name: migration.name, up: () => apply(client, migration) })),
    storage: {
      executed: () => appliedNames(client),
      // apply() has already noted it, inside the migration's own transaction.
      logMigration: async () => {},
      unlogMigration: async () => {
        throw new Error("Budgie's migrations only go forward.");
      },
    },
  });
}

async function apply(client: ClientBase, migration: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(migration.sql);
    await client.query("INSERT INTO backend_migrations (name) VALUES ($1)", [migration.name]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error instanceof pg.DatabaseError && !PASSING.test(error.code ?? "")
      ? failed(migration, error)
      : error;
  }
}

/** PostgreSQL's detail holds a row's values: only the message goes into the log. */
function failed({ name }: Migration, { message }: Error): MigrationsRefused {
  return new MigrationsRefused(`the migration ${name} failed, and nothing of it was kept: ${message}`);
}

async function appliedNames(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>("SELECT name FROM backend_migrations ORDER BY name");
  return rows.map(row => row.name);
}

/** A volume of another Budgie may have been adopted: its tables are not this backend's to change. */
async function refuseForeignSchema(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ foreign: boolean }>(
    "SELECT to_regclass('backend_migrations') IS NULL AND to_regclass('users') IS NOT NULL AS foreign",
  );
  if (rows[0]?.foreign) {
    throw new MigrationsRefused(
      "the database holds tables that another backend made; run that backend instead, or give this one an empty database",
    );
  }
}

async function refuseNewerSchema(client: ClientBase, wanted: Migration[]): Promise<void> {
  const known = new Set(wanted.map(migration => migration.name));
  const unknown = (await appliedNames(client)).filter(name => !known.has(name));
  if (unknown.length > 0) {
    throw new MigrationsRefused(
      `the database was migrated by a newer backend (${unknown.join(", ")}); run that version`,
    );
  }
}
