import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { allowReplication } from "../../../shared/replication-access.ts";
import { LIVE } from "../database/live.ts";
import { query } from "../database/query.ts";
import { startPostgres, type TestPostgres } from "../servers/postgres.ts";

/** Runs psql in the database's container, over its own socket, as the step of `pulumi up` does. */
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

/** A server with an empty live database. An agent may receive its WAL, and it tracks when each row was committed. */
export async function startReceivableServer(): Promise<TestPostgres> {
  const postgres = await startPostgres();
  await query(postgres, "postgres", "ALTER SYSTEM SET track_commit_timestamp = on");
  await postgres.container.restart();
  await postgres.ready();
  await query(postgres, "postgres", `CREATE DATABASE ${LIVE}`);
  await letReceive(postgres);
  return postgres;
}
