import pg from "pg";
import type { TestPostgres } from "../servers/postgres.ts";

/**
 * Runs SQL in a database of the test's server, as its superuser, on a connection of its own. Returns the rows of the last
 * statement.
 */
export async function query<Row extends pg.QueryResultRow = Record<string, unknown>>(
  postgres: TestPostgres,
  database: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: postgres.url(database) });
  await client.connect();
  try {
    // One result a statement, in an array where there are several.
    const results = [await client.query<Row>(text, values)].flat();
    return results.at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}
