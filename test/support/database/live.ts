import type { TestPostgres } from "../servers/postgres.ts";
import { psql } from "./server-psql.ts";
import { dropDatabase } from "./snapshot.ts";

/** The live database of every test's agent. */
export const LIVE = "budgie_dev";

const SET_ASIDE = `SELECT datname FROM pg_database WHERE datname LIKE '${LIVE}_before_%' ORDER BY datname`;

/** A throw-away server's data need not survive a crash. Without syncing it makes and drops databases much faster. */
export async function withoutSyncing(postgres: TestPostgres): Promise<void> {
  await psql(
    postgres,
    "postgres",
    "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();",
  );
}

/** The databases that restores have set aside, oldest first. */
export async function databasesSetAside(postgres: TestPostgres): Promise<string[]> {
  return (await psql(postgres, "postgres", SET_ASIDE)).split("\n").filter(Boolean);
}

/** Undoes restores: makes the database live again that was live before the first of them. */
export async function putBackTheFirst(postgres: TestPostgres): Promise<void> {
  const [first, ...later] = await databasesSetAside(postgres);
  for (const database of later) await dropDatabase(postgres, database);
  if (!first) return;
  await dropDatabase(postgres, LIVE);
  await psql(postgres, "postgres", `ALTER DATABASE ${first} RENAME TO ${LIVE}`);
}

/** Drops the live database and all that restores left behind. */
export async function dropLiveDatabases(postgres: TestPostgres): Promise<void> {
  const all = [LIVE, `${LIVE}_candidate`, ...(await databasesSetAside(postgres))];
  for (const database of all) await dropDatabase(postgres, database);
}
