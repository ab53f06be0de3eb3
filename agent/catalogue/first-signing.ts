import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { sha256Of } from "../base/hashing.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { manifestName } from "../manifest/backup-name.ts";
import { type ManifestKey, signatureOf, signed } from "../manifest/mac.ts";
import { listBackups } from "./catalogue.ts";

/** Others may write it at the same moment. */
const TRIES = 3;
const AGAIN_MS = 100;

/**
 * The manifests that were there when the agent first had this key. They are signed with it once. The list is written before
 * anything is signed, so that a manifest which comes later without a signature never gets one. It is signed itself, so that a
 * list that somebody wrote by hand counts for nothing.
 */
const firstSigning = z.object({
  format: z.literal(1),
  stack: z.string(),
  at: z.iso.datetime(),
  /** The backups whose manifests are not signed yet, and the sha256 of each manifest as it was found. */
  toSign: z.array(z.object({ name: z.string(), manifestSha256: z.string() })),
});

export type FirstSigning = z.infer<typeof firstSigning>;

/**
 * Lists what is to be signed, unless the list is there already. Where a manifest is signed and the list is gone, somebody took the
 * list away: then nothing is signed any more. Throws a Stop.
 */
export async function startFirstSigning(settings: AgentSettings, key: ManifestKey): Promise<FirstSigning> {
  for (let tries = 1; ; tries++) {
    const known = await readFirstSigning(settings, key);
    if (known) return known;
    const started: FirstSigning = {
      format: 1,
      stack: settings.stack,
      at: new Date().toISOString(),
      toSign: await unsignedManifests(settings),
    };
    try {
      await saveFirstSigning(settings, key, started);
      return started;
    } catch (error) {
      if (tries >= TRIES) throw notKept(settings, (error as Error).message);
      await delay(AGAIN_MS);
    }
  }
}

export async function saveFirstSigning(
  settings: AgentSettings,
  key: ManifestKey,
  state: FirstSigning,
): Promise<void> {
  await writeRecord(firstSigningPath(settings), signed(key, state, "first signing"));
}

/** What a backup's manifest is now; null where it is gone. */
export async function manifestSha256(settings: AgentSettings, backup: string): Promise<string | null> {
  const text = await readFile(join(settings.backupDir, manifestName(backup) ?? backup)).catch(() => null);
  return text && sha256Of(text);
}

async function readFirstSigning(settings: AgentSettings, key: ManifestKey): Promise<FirstSigning | null> {
  const reading = await readRecord(firstSigning, firstSigningPath(settings));
  if (!reading.found) {
    if (reading.why === "unreadable") throw notKept(settings, reading.detail);
    return null;
  }
  const { record, json } = reading;
  const isOwn = signatureOf(key, json, "first signing") === "right" && record.stack === settings.stack;
  return isOwn ? record : null;
}

async function unsignedManifests(settings: AgentSettings): Promise<FirstSigning["toSign"]> {
  const entries = await listBackups(settings);
  if (entries.some(({ authentic }) => authentic)) return [];
  const unsigned = entries.filter(
    ({ manifest }) => manifest?.stack === settings.stack && manifest.mac === null,
  );
  const found = await Promise.all(
    unsigned.map(async ({ name }) => ({ name, manifestSha256: await manifestSha256(settings, name) })),
  );
  return found.flatMap(({ name, manifestSha256 }) => (manifestSha256 ? [{ name, manifestSha256 }] : []));
}

function notKept({ backupDirShown }: AgentSettings, why: string): Stop {
  return new Stop(
    EXIT.failed,
    `The list of manifests to be signed with the stack's key could not be kept in ${backupDirShown}: ${why}.`,
    "See that the directory can be written and has space, then run the same command again.",
  );
}

function firstSigningPath({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.manifest-key-${stack}.json`);
}
