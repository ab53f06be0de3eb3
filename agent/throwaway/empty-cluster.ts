import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, type RunAs, startWriter } from "../base/child-process.ts";
import { TRY_AGAIN } from "../base/next-steps.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { createDatabase, type DatabaseTraits, readDatabaseTraits } from "../server/database-traits.ts";
import type { ThrowawayPlace } from "./place.ts";

const { escapeIdentifier, escapeLiteral } = pg;

/** What an empty server must have in common with the stack's own, so that the stack's backups can be loaded into it. */
export interface ServerLikeness {
  database: DatabaseTraits;
  tablespaces: string[];
  /** Server settings that change how values are written, or which extensions can be loaded. */
  parameters: Record<string, string>;
}

/** Asks the stack's own server, briefly and reading only. Throws a Stop when it cannot be reached. */
export async function readLikeness(settings: AgentSettings): Promise<ServerLikeness> {
  const session = await connectToMaintenance(settings, "budgie drill");
  try {
    const { rows } = await session.query<{ tablespaces: string[]; money: string; libraries: string }>(
      `SELECT ARRAY(SELECT spcname::text FROM pg_tablespace WHERE spcname !~ '^pg_') AS tablespaces,
              current_setting('lc_monetary') AS money,
              current_setting('shared_preload_libraries') AS libraries`,
    );
    const database =
      (await readDatabaseTraits(session, settings.database)) ??
      (await readDatabaseTraits(session, "template1"));
    const server = rows[0];
    if (!server || !database) throw new Error("the server did not say what it is like");
    return {
      database,
      tablespaces: server.tablespaces,
      parameters: { lc_monetary: server.money, shared_preload_libraries: server.libraries },
    };
  } finally {
    await session.end();
  }
}

/** Of every new cluster, so that one can be kept for all. `nameSuperuser` gives it its name. */
export const FIRST_SUPERUSER = "agent";

/** Runs initdb. The database into which a dump is loaded has its own locale, so the cluster gets the one that is always there. */
export async function initializeCluster(
  dataDirectory: string,
  runAs: RunAs,
  signal: AbortSignal,
): Promise<void> {
  const { input, finished } = startWriter(
    "initdb",
    [
      `--pgdata=${dataDirectory}`,
      `--username=${FIRST_SUPERUSER}`,
      // Only root and PostgreSQL's own user reach the socket's directory.
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
    ],
    signal,
    runAs,
  );
  input.end();
  const end = await finished;
  signal.throwIfAborted();
  if (end.code !== 0)
    throw new Stop(
      EXIT.failed,
      `A throw-away server could not be made; initdb ended with ${describeEnd(end)}.`,
      TRY_AGAIN,
    );
}

/**
 * Before anything is loaded. Then no role is left of the first name, and a backup may have one of its own. ALTER ROLE renames nobody
 * who is connected.
 */
export async function nameSuperuser(settings: AgentSettings): Promise<void> {
  const session = await connectToMaintenance({ ...settings, user: FIRST_SUPERUSER }, "budgie drill");
  try {
    await session.query("UPDATE pg_authid SET rolname = $1 WHERE rolname = current_user", [settings.user]);
  } finally {
    await session.end();
  }
}

/** Creates the roles, the tablespaces and the database that a backup expects to be there. */
export async function createLike(
  session: pg.Client,
  place: ThrowawayPlace,
  likeness: ServerLikeness,
  roles: readonly string[],
  database: string,
): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    "SELECT DISTINCT unnest($1::text[]) AS name EXCEPT SELECT rolname::text FROM pg_roles",
    [[...roles, likeness.database.owner]],
  );
  for (const { name } of rows) await session.query(`CREATE ROLE ${escapeIdentifier(name)}`);
  for (const [at, name] of likeness.tablespaces.entries()) {
    const directory = join(place.directory, `tablespace-${at}`);
    await mkdir(directory, { mode: 0o700 });
    await chown(directory, place.postgres.uid, place.postgres.gid);
    await session.query(`CREATE TABLESPACE ${escapeIdentifier(name)} LOCATION ${escapeLiteral(directory)}`);
  }
  await session.query(createDatabase(database, likeness.database));
}
