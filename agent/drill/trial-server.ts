import type { AgentSettings } from "../../shared/agent-settings.ts";
import { requireExtensions, requireNoNewer } from "../load/fitting-server.ts";
import type { KnownDump } from "../load/known-dump.ts";
import type { EmptyDatabase } from "../load/load-and-compare.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { connect, connectToMaintenance } from "../server/connection.ts";
import { createDatabase } from "../server/database-traits.ts";
import { createLike, nameSuperuser, type ServerLikeness } from "../throwaway/empty-cluster.ts";
import { unpackCluster } from "../throwaway/packed-cluster.ts";
import type { ThrowawayPlace } from "../throwaway/place.ts";
import type { ServerPlan, ThrowawayServer } from "../throwaway/server.ts";
import { heldAgainstIt } from "./bad-backup.ts";
import type { DrillSource } from "./source.ts";

/** The database that a backup is loaded into. No dump says the name of the one that it came from. */
export const DATABASE = "drill";
/** Where its schema is loaded once more by itself. */
const SCHEMA_DATABASE = "drill_schema";
const READY_WITHIN_MS = 60_000;

/** A backup that is tried, and what its server must be like. */
export interface Trial {
  source: DrillSource;
  known: KnownDump;
  likeness: ServerLikeness;
}

export function planFor(settings: AgentSettings, { source, likeness }: Trial): ServerPlan {
  return {
    superuser: settings.user,
    // Sorting for its indexes takes some more than the database itself.
    bytes: Math.ceil(source.manifest.databaseBytes * 1.2),
    fill: (directory, runAs, signal) => unpackCluster(directory, runAs, signal),
    parameters: likeness.parameters,
    readyWithinMs: READY_WITHIN_MS,
  };
}

/** Makes what the backup expects to be there. A backup of a newer major version is not bad: it cannot be tried here. */
export async function prepareServer(
  { settings }: ThrowawayServer,
  place: ThrowawayPlace,
  { source, known, likeness }: Trial,
): Promise<void> {
  await nameSuperuser(settings);
  const session = await connectToMaintenance(settings, "budgie drill");
  try {
    const { rows } = await session.query<{ server_version: string }>("SHOW server_version");
    requireNoNewer(source, known, rows[0]?.server_version ?? "unknown");
    await heldAgainstIt(() => requireExtensions(session, source));
    await createLike(session, place, likeness, source.manifest.roles, DATABASE);
  } finally {
    await session.end();
  }
}

export function emptyDatabase(
  { settings, client, lost }: ThrowawayServer,
  { source, likeness }: Trial,
  atOnce: boolean,
): EmptyDatabase {
  return {
    settings,
    name: DATABASE,
    client,
    reader: client,
    signal: lost,
    withoutOwners: false,
    lcMonetary: source.manifest.lcMonetary ?? null,
    inSeveralBlocks: new Set(),
    atOnce,
    another: async work => {
      const session = await connectToMaintenance(settings, "budgie drill");
      try {
        await session.query(createDatabase(SCHEMA_DATABASE, likeness.database));
      } finally {
        await session.end();
      }
      // It goes with its server.
      return work(SCHEMA_DATABASE);
    },
  };
}

export async function missingExtensions(
  settings: AgentSettings,
  { extensions }: Pick<Manifest, "extensions">,
): Promise<string[]> {
  const session = await connect(settings, DATABASE);
  try {
    const { rows } = await session.query<{ name: string }>(
      "SELECT unnest($1::text[]) AS name EXCEPT SELECT extname::text FROM pg_extension ORDER BY 1",
      [extensions.map(({ name }) => name)],
    );
    return rows.map(({ name }) => `the extension ${name} is missing`);
  } finally {
    await session.end();
  }
}
