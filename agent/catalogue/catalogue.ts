import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { askedOnce } from "../base/asked-once.ts";
import { isArchiveName, isBackupName, manifestName } from "../manifest/backup-name.ts";
import { changedFlaw, foreignFlaw, isForeignOnly } from "../manifest/flaw.ts";
import { readManifestKey } from "../manifest/key.ts";
import { type ManifestKey, type Signature, signatureOf } from "../manifest/mac.ts";
import { type Manifest, readManifest } from "../manifest/manifest.ts";
import { type DrillOutcome, drillFlaw, drillOutcome, drillRecordName } from "./drill-record.ts";
import { type Pin, pinName, readPin } from "./pin.ts";

/** A file in the backup directory that has a backup's name. */
export interface CatalogueEntry {
  name: string;
  bytes: number;
  manifest: Manifest | null;
  /** Whether this stack's agent wrote the manifest, and nobody changed it since. */
  authentic: boolean;
  /** How its newest drill came out; null when there was none. */
  drill: DrillOutcome;
  pin: Pin | null;
  /** Why it does not count as a backup of this stack's; null when it does. */
  flaw: string | null;
}

/** The flaw of a file that has a backup's name and nothing else. */
export const NO_MANIFEST = "no manifest";

/** Every backup in the directory, newest first. Flawed ones are listed too: nothing is passed over in silence. */
export function listBackups(settings: AgentSettings): Promise<CatalogueEntry[]> {
  return askedOnce(`backups of ${settings.stack} in ${settings.backupDir}`, () => readBackups(settings));
}

async function readBackups(settings: AgentSettings): Promise<CatalogueEntry[]> {
  const all = await namesInDirectory(settings);
  const entries = all.filter(isBackupName).sort().reverse();
  if (entries.length === 0) return [];
  const key = await readManifestKey(settings);
  // Few backups are pinned or drilled, so of the three records of each two would be asked for in vain.
  const there = new Set(all);
  return Promise.all(entries.map(name => describeEntry(settings, key, name, there)));
}

/** What is in the backup directory at this moment. Throws a Stop for one that cannot be read, or that was removed. */
export async function namesInDirectory(settings: AgentSettings): Promise<string[]> {
  const { backupDir, backupDirShown } = settings;
  const names = await readdir(backupDir).catch((error: Error) => {
    throw new Stop(
      EXIT.failed,
      `The backup directory ${backupDirShown} cannot be read: ${error.message}.`,
      "See that it exists and is yours, then run `npm run pulumi -- up`.",
    );
  });
  if (names.length === 0) await requireLinked(settings);
  return names;
}

/** The newest backup of this stack that counts, or null. */
export async function newestGood(
  settings: AgentSettings,
): Promise<(CatalogueEntry & { manifest: Manifest }) | null> {
  for (const entry of await listBackups(settings)) {
    if (entry.manifest && !entry.flaw) return { ...entry, manifest: entry.manifest };
  }
  return null;
}

/**
 * The newest backup of this stack that holds what there was. It may be one that cannot be reloaded as it is, or one whose only
 * flaw is that its manifest is not signed with this stack's key. So `latest` need not mean it. But while it is there, an empty or
 * another database does not pass for the right one.
 */
export async function newestRecorded(
  settings: AgentSettings,
): Promise<(CatalogueEntry & { manifest: Manifest }) | null> {
  for (const entry of await listBackups(settings)) {
    const holds = !entry.flaw || isOnlyUnloadable(entry) || isForeignOnly(entry.flaw);
    if (entry.manifest && holds) return { ...entry, manifest: entry.manifest };
  }
  return null;
}

/** The newest that counts, or that a drill found unloadable. */
export async function newestTaken(
  settings: AgentSettings,
): Promise<(CatalogueEntry & { manifest: Manifest }) | null> {
  for (const entry of await listBackups(settings)) {
    if (entry.manifest && (!entry.flaw || isOnlyUnloadable(entry)))
      return { ...entry, manifest: entry.manifest };
  }
  return null;
}

/** Whether its only flaw is that PostgreSQL does not take it back as it is. */
export function isOnlyUnloadable({ drill, flaw }: CatalogueEntry): boolean {
  if (drill === null || drill === "unreadable") return false;
  return drill.outcome === "unloadable" && flaw === drillFlaw(drill);
}

/** A directory that was removed while a container has it reads as an empty one, and takes no files. */
async function requireLinked({ backupDir, backupDirShown }: AgentSettings): Promise<void> {
  if ((await stat(backupDir)).nlink > 0) return;
  throw new Stop(
    EXIT.failed,
    `The backup directory ${backupDirShown} was removed while the backup agent ran, and with it what was in it.`,
    "Make it anew: npm run pulumi -- up",
  );
}

async function describeEntry(
  settings: AgentSettings,
  key: ManifestKey,
  name: string,
  there: ReadonlySet<string>,
): Promise<CatalogueEntry> {
  const path = join(settings.backupDir, name);
  const { size } = await stat(path);
  const pin = there.has(pinName(name) ?? "") ? await readPin(settings, name) : null;
  const reading = await readManifest(join(settings.backupDir, manifestName(name) ?? name));
  if (!reading.found) {
    const flaw = reading.why === "absent" ? NO_MANIFEST : `manifest not readable: ${reading.detail}`;
    return { name, bytes: size, manifest: null, authentic: false, drill: null, pin, flaw };
  }
  const { record: manifest, json } = reading;
  const signature = signatureOf(key, json);
  const drill = there.has(drillRecordName(name)) ? await drillOutcome(settings, name, manifest) : null;
  const flaw =
    flawOf(settings, name, size, manifest, signature) ?? foreignFlaw(signature) ?? drillFlaw(drill);
  return { name, bytes: size, manifest, authentic: signature === "right", drill, pin, flaw };
}

function flawOf(
  settings: AgentSettings,
  name: string,
  size: number,
  manifest: Manifest,
  signature: Signature,
): string | null {
  if (manifest.stack !== settings.stack) return `of stack ${manifest.stack}`;
  const changed = changedFlaw(signature);
  if (changed) return changed;
  if (manifest.identity === "unexpected") return "of another database";
  // Somebody has compressed or uncompressed it since. The manifest still describes the SQL inside, but not an archive.
  if (manifest.file !== name)
    return [name, manifest.file].some(isArchiveName) ? `its manifest is of ${manifest.file}` : null;
  if (manifest.bytes !== size) return `${size} bytes, its manifest says ${manifest.bytes}`;
  return null;
}
