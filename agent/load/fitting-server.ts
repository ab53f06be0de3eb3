import { dirname, join } from "node:path";
import pg from "pg";
import { fileExists } from "../base/file-exists.ts";
import { refuse } from "../base/refuse.ts";
import type { BackupSource } from "../catalogue/backup-source.ts";
import { majorVersion } from "../server/connection.ts";
import type { KnownDump } from "./known-dump.ts";

type Versions = Pick<KnownDump, "serverVersion" | "pgDumpVersion">;

/** With the path as messages name it. */
type ShownSource = BackupSource & { shown: string };

/** Throws a Stop unless the server has the major version, the roles and the extensions that the backup needs. */
export async function requireFittingServer(
  session: pg.Client,
  source: ShownSource,
  versions: Versions,
): Promise<void> {
  const { rows } = await session.query<{ version: string; missing_roles: string[] }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
            ARRAY(SELECT unnest($1::text[]) EXCEPT SELECT rolname FROM pg_roles) AS missing_roles`,
    [source.manifest?.roles ?? []],
  );
  const server = rows[0];
  if (!server) throw new Error("the server did not say its version");
  if (source.authentic) requireNoNewer(source, versions, server.version);
  if (server.missing_roles.length > 0) {
    throw refuse(
      `${source.name} needs roles that this server does not have: ${server.missing_roles.join(", ")}`,
      await waysToMake(server.missing_roles, source),
    );
  }
  await requireExtensions(session, source);
}

/** What an operator types for roles that are missing. */
export function createRoles(roles: readonly string[]): string {
  return roles.map(role => `CREATE ROLE ${pg.escapeIdentifier(role)};`).join(" ");
}

/** A restore makes no roles by itself: they belong to the server, and a backup does not decide who may do what there. */
async function waysToMake(roles: readonly string[], { path, shown, manifest }: ShownSource): Promise<string> {
  const byHand = `in \`npx budgie psql\`: ${createRoles(roles)}`;
  const globals = manifest?.globals?.file;
  const isBeside = globals && (await fileExists(join(dirname(path), globals)));
  if (!isBeside) return `Make them first, ${byHand}`;
  return `${globals} has them, with all that they may do: npx budgie psql < ${dirname(shown)}/${globals} (it does not matter if some roles exist already). Or make them ${byHand}`;
}

/** A dump of an older version loads into a newer server. A dump of a newer one may not load into an older server. */
export function requireNoNewer(
  source: Pick<BackupSource, "name">,
  { serverVersion, pgDumpVersion }: Versions,
  server: string,
): void {
  for (const version of [serverVersion, pgDumpVersion]) {
    if (version !== null && Number(majorVersion(version)) > Number(majorVersion(server))) {
      throw refuse(
        `${source.name} is a dump of PostgreSQL ${version}, and this server is ${server}`,
        "Restore it into a server of its own major version or a newer one.",
      );
    }
  }
}

export async function requireExtensions(session: pg.Client, source: BackupSource): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    "SELECT unnest($1::text[]) AS name EXCEPT SELECT name FROM pg_available_extensions",
    [source.manifest?.extensions.map(({ name }) => name) ?? []],
  );
  if (rows.length === 0) return;
  throw refuse(
    `${source.name} needs extensions that this server does not have: ${rows.map(({ name }) => name).join(", ")}`,
    "Use a database image that has them.",
  );
}
