import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { newestGood } from "./catalogue.ts";
import { replaceFile } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Manifest } from "./manifest.ts";
import { connectToMaintenance, databaseExists, readServerFacts, type ServerFacts } from "./server.ts";
import type { AgentSettings } from "./settings.ts";

/**
 * Which database this stack's data is in. PostgreSQL gives every cluster a number at initdb; a volume that was swapped
 * for another one, or made anew, shows by it. The record is written by the first backup, by a restore, and by
 * `accept-database`, and by nothing else.
 */
const identity = z.object({
  systemIdentifier: z.string().regex(/^\d+$/),
  since: z.iso.datetime(),
  acceptedEmpty: z.boolean(),
});

export type Identity = z.infer<typeof identity>;

/** null when no record exists yet. Throws a Stop for one that cannot be read: unknown is failure. */
export async function readIdentity(settings: AgentSettings): Promise<Identity | null> {
  let text: string;
  try {
    text = await readFile(pathOf(settings), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return identityFromBackups(settings);
    throw error;
  }
  try {
    return identity.parse(JSON.parse(text));
  } catch {
    throw new Stop(
      EXIT.anotherDatabase,
      `The record of which database belongs to stack ${settings.stack} is damaged (${settings.backupDirShown}/${nameOf(settings)}).`,
      "See with `npx budgie psql` that the data is yours, then type `npx budgie accept-database`.",
    );
  }
}

export async function saveIdentity(
  settings: AgentSettings,
  systemIdentifier: string,
  acceptedEmpty = false,
): Promise<void> {
  const record: Identity = { systemIdentifier, since: new Date().toISOString(), acceptedEmpty };
  await replaceFile(pathOf(settings), `${JSON.stringify(record)}\n`);
}

/** What is wrong with the database that is there, as a sentence's end; null when it is the one it should be. */
export function judgeIdentity(
  known: Identity | null,
  newest: { name: string; manifest: Manifest } | null,
  facts: Pick<ServerFacts, "systemIdentifier" | "tables">,
): string | null {
  if (known && known.systemIdentifier !== facts.systemIdentifier) {
    return `is another one (${facts.systemIdentifier}) than the one its backups came from (${known.systemIdentifier})`;
  }
  if (facts.tables === 0 && newest && newest.manifest.tables.length > 0 && !known?.acceptedEmpty) {
    return `is empty, although its backup ${newest.name} holds ${newest.manifest.tables.length} tables`;
  }
  return null;
}

/** Throws a Stop naming the ways out when the database is not the one that it was, or is not in the server any more. */
export async function checkIdentity(settings: AgentSettings): Promise<ServerFacts> {
  const facts = await readServerFacts(settings).catch(async error => {
    await requireDatabase(settings);
    throw error;
  });
  const wrong = judgeIdentity(await readIdentity(settings), await newestGood(settings), facts);
  if (wrong === null) return facts;
  throw new Stop(
    EXIT.anotherDatabase,
    `The database ${settings.database} of stack ${settings.stack} ${wrong}.`,
    "To bring the data back: `npx budgie restore latest`. If this database is the right one from now on: `npx budgie accept-database`.",
  );
}

/** A server without this database is no server that does not answer: its volume is another environment's. */
async function requireDatabase(settings: AgentSettings): Promise<void> {
  const session = await connectToMaintenance(settings, "budgie check-identity").catch(() => null);
  if (session === null) return;
  const exists = await databaseExists(session, settings.database).finally(() => session.end());
  if (exists) return;
  throw new Stop(
    EXIT.anotherDatabase,
    `The server of stack ${settings.stack} holds no database ${settings.database}: it was dropped, or the volume is another environment's.`,
    "To bring the data back: `npx budgie restore latest`.",
  );
}

/** Makes the database that is there the one that belongs to this stack, empty or not. */
export async function acceptDatabase(settings: AgentSettings): Promise<ServerFacts> {
  const facts = await readServerFacts(settings);
  await saveIdentity(settings, facts.systemIdentifier, facts.tables === 0);
  return facts;
}

/** A directory brought from elsewhere has manifests and no record: the newest one that counts is as good. */
async function identityFromBackups(settings: AgentSettings): Promise<Identity | null> {
  const newest = await newestGood(settings);
  if (!newest) return null;
  const { systemIdentifier, finishedAt } = newest.manifest;
  return { systemIdentifier, since: finishedAt, acceptedEmpty: false };
}

function nameOf(settings: AgentSettings): string {
  return `.database-identity-${settings.stack}.json`;
}

function pathOf(settings: AgentSettings): string {
  return join(settings.backupDir, nameOf(settings));
}
