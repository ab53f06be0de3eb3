import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import pg from "pg";
import type { BackupSource } from "./backup-source.ts";
import type { DumpFingerprint } from "./dump-fingerprint.ts";
import { refuse } from "./refuse.ts";
import { majorVersion } from "./server.ts";

type Versions = Pick<DumpFingerprint, "serverVersion" | "pgDumpVersion">;

/** With the path as messages name it. */
type ShownSource = BackupSource & { shown: string };

/** Throws a Stop unless the server can take the backup: its major version, and the roles and extensions it needs. */
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
  requireSameMajor(source, versions, server.version);
  if (server.missing_roles.length > 0) {
    throw refuse(
      `${source.name} needs roles that this server does not have: ${server.missing_roles.join(", ")}`,
      await waysToMake(server.missing_roles, source),
    );
  }
  await requireExtensions(session, source);
}

/** A restore makes no roles by itself: they are the server's, and who may do what there is not a backup's to say. */
async function waysToMake(roles: readonly string[], { path, shown, manifest }: ShownSource): Promise<string> {
  const statements = roles.map(role => `CREATE ROLE ${pg.escapeIdentifier(role)};`).join(" ");
  const byHand = `in \`npx budgie psql\`: ${statements}`;
  const globals = manifest?.globals?.file;
  const isBeside =
    globals &&
    (await access(join(dirname(path), globals)).then(
      () => true,
      () => false,
    ));
  if (!isBeside) return `Make them first, ${byHand}`;
  return `${globals} has them, with all that they may do: npx budgie psql < ${dirname(shown)}/${globals} (that some roles exist already does not matter). Or make them ${byHand}`;
}

/** A newer pg_dump's text may not load into an older server, and an older one's may load as something else. */
export function requireSameMajor(
  source: Pick<BackupSource, "name">,
  { serverVersion, pgDumpVersion }: Versions,
  server: string,
): void {
  for (const version of [serverVersion, pgDumpVersion]) {
    if (version !== null && majorVersion(version) !== majorVersion(server)) {
      throw refuse(
        `${source.name} is a dump of PostgreSQL ${version}, and this server is ${server}`,
        "Restore it into a server of its own major version, then dump it there with this version's pg_dump.",
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
