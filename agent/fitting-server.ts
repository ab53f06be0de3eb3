import type pg from "pg";
import type { BackupSource } from "./backup-source.ts";
import type { DumpFingerprint } from "./dump-fingerprint.ts";
import { refuse } from "./refuse.ts";
import { majorVersion } from "./server.ts";

type Versions = Pick<DumpFingerprint, "serverVersion" | "pgDumpVersion">;

/** Throws a Stop unless the server can take the backup: its major version, and the roles and extensions it needs. */
export async function requireFittingServer(
  session: pg.Client,
  source: BackupSource,
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
      `Make them first, in \`npx budgie psql\`: ${server.missing_roles.map(role => `CREATE ROLE "${role}";`).join(" ")}`,
    );
  }
  await requireExtensions(session, source);
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
