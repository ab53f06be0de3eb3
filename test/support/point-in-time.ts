import pg from "pg";
import { allowReplication } from "../../components/replication-access.ts";
import { collectFromContainer } from "../../scripts/run-in-container.ts";
import type { TestPostgres } from "./postgres.ts";

/** Feeds psql, in the database's container, over its own socket: as the step of `pulumi up` does. */
export async function psqlOverSocket(postgres: TestPostgres, script: string): Promise<string> {
  const command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", postgres.user, "-d", "postgres"];
  const { code, stdout, stderr } = await collectFromContainer(
    postgres.container,
    command,
    Buffer.from(script),
  );
  if (code !== 0) throw new Error(`psql ended with ${code}: ${stderr}`);
  return stdout;
}

/** Lets an agent receive the server's WAL, as `budgie:pointInTime` does. */
export async function letReceive(postgres: TestPostgres): Promise<void> {
  await psqlOverSocket(postgres, allowReplication(postgres.user));
}

/** One query on one connection. */
export async function queryOnce<Row extends pg.QueryResultRow>(
  postgres: TestPostgres,
  text: string,
  values: unknown[] = [],
  database = "budgie_dev",
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: postgres.url(database) });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}
