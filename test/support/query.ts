import pg from "pg";
import type { TestPostgres } from "./postgres.ts";

/** Runs SQL in a database of the test's server, as its superuser, and returns the rows of the last statement. */
export async function query(
  postgres: TestPostgres,
  database: string,
  text: string,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: postgres.url(database) });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
