import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { isBackupName } from "../manifest/backup-name.ts";
import {
  connectToMaintenance,
  databaseExists,
  readServerFacts,
  type ServerFacts,
} from "../server/connection.ts";
import { newestRecorded } from "./catalogue.ts";
import { readKnown } from "./known.ts";

/**
 * Which database holds this stack's data. PostgreSQL gives every cluster a number at initdb, and by that number a volume that was
 * swapped for another one, or made anew, is noticed. Only the first backup, a restore and `accept-database` write the record.
 */
const identity = z.object({
  systemIdentifier: z.string().regex(/^\d+$/),
  since: z.iso.datetime(),
  acceptedEmpty: z.boolean(),
});

export type Identity = z.infer<typeof identity>;

/** null when no record exists yet. Throws a Stop for one that cannot be read: unknown is failure. */
export async function readIdentity(settings: AgentSettings): Promise<Identity | null> {
  const reading = await readRecord(identity, identityPath(settings));
  if (reading.found) return reading.record;
  if (reading.why === "absent") return identityFromBackups(settings);
  if (reading.why === "unreadable") throw new Error(reading.detail);
  throw new Stop(
    EXIT.anotherDatabase,
    `The record of which database belongs to stack ${settings.stack} is damaged (${settings.backupDirShown}/${identityName(settings)}).`,
    "See with `npx budgie psql` that the data is yours, then type `npx budgie accept-database`.",
  );
}

export async function saveIdentity(
  settings: AgentSettings,
  systemIdentifier: string,
  acceptedEmpty = false,
): Promise<void> {
  const record: Identity = { systemIdentifier, since: new Date().toISOString(), acceptedEmpty };
  await writeRecord(identityPath(settings), record);
}

/** What is wrong with the database that is there, as the end of a sentence. Null when it is the right one. */
export function judgeIdentity(
  known: Identity | null,
  newest: Pick<Held, "name" | "tables"> | null,
  facts: Pick<ServerFacts, "systemIdentifier" | "tables">,
): string | null {
  if (known && known.systemIdentifier !== facts.systemIdentifier) {
    return `is another one (${facts.systemIdentifier}) than the one its backups came from (${known.systemIdentifier})`;
  }
  if (facts.tables === 0 && newest && newest.tables > 0 && !known?.acceptedEmpty) {
    return `is empty, although its backup ${newest.name} holds ${newest.tables} tables`;
  }
  return null;
}

/** Throws a Stop that names the ways out when the database is another one, or is no longer in the server. */
export async function checkIdentity(settings: AgentSettings): Promise<ServerFacts> {
  const facts = await readServerFacts(settings).catch(async error => {
    await requireDatabase(settings);
    throw error;
  });
  const newest = await newestHeld(settings);
  const wrong = judgeIdentity(await readIdentity(settings), newest, facts);
  if (wrong === null) return facts;
  throw new Stop(
    EXIT.anotherDatabase,
    `The database ${settings.database} of stack ${settings.stack} ${wrong}.`,
    `${wayBack(settings, newest)} If this database is the right one from now on: \`npx budgie accept-database\`.`,
  );
}

/** Tells a server without this database from one that does not answer: its volume may be another environment's. */
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

/** A directory that was brought from elsewhere has manifests and no record. Its newest manifest is as good, whatever key signed it. */
async function identityFromBackups(settings: AgentSettings): Promise<Identity | null> {
  const newest = await newestHeld(settings);
  return newest && { systemIdentifier: newest.systemIdentifier, since: newest.at, acceptedEmpty: false };
}

/** A backup that holds, or held, what there was. */
interface Held {
  name: string;
  tables: number;
  at: string;
  systemIdentifier: string;
  /** `foreign`: it is not signed with this stack's key. `gone`: it is only known to have been here. */
  state: "own" | "foreign" | "gone";
}

/** While the newest is here, it says what belongs to the stack. Where none is here, the newest that was speaks for it. */
export async function newestHeld(settings: AgentSettings): Promise<Held | null> {
  const here = await newestRecorded(settings);
  if (here) {
    const { name, authentic, manifest } = here;
    const { tables, finishedAt: at, systemIdentifier } = manifest;
    return { name, tables: tables.length, at, systemIdentifier, state: authentic ? "own" : "foreign" };
  }
  const gone = (await readKnown(settings)).findLast(({ name }) => isBackupName(name));
  return gone ? { ...gone, state: "gone" } : null;
}

function wayBack({ backupDirShown }: AgentSettings, newest: Held | null): string {
  if (newest?.state === "gone")
    return `To bring the data back, bring ${newest.name} back into ${backupDirShown} first: mount its disk, copy it there, or \`npx budgie pull ${newest.name}\`; then \`npx budgie restore latest\`.`;
  return `To bring the data back: \`npx budgie restore ${newest?.state === "foreign" ? newest.name : "latest"}\`.`;
}

function identityName(settings: AgentSettings): string {
  return `.database-identity-${settings.stack}.json`;
}

function identityPath(settings: AgentSettings): string {
  return join(settings.backupDir, identityName(settings));
}
