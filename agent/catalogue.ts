import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isArchiveName, isBackupName, manifestName } from "./backup-name.ts";
import { type DrillOutcome, drillFlaw, drillOutcome } from "./drill-record.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import type { AgentSettings } from "./settings.ts";

/** A file in the backup directory that has a backup's name. */
export interface CatalogueEntry {
  name: string;
  bytes: number;
  manifest: Manifest | null;
  /** How its newest drill came out; null when there was none. */
  drill: DrillOutcome;
  /** Why it does not count as a backup of this stack's; null when it does. */
  flaw: string | null;
}

/** Every backup in the directory, newest first, the flawed ones included: nothing there is passed over in silence. */
export async function listBackups(settings: AgentSettings): Promise<CatalogueEntry[]> {
  let names: string[];
  try {
    names = await readdir(settings.backupDir);
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `The backup directory ${settings.backupDirShown} cannot be read: ${(error as Error).message}.`,
      "See that it exists and is yours, then run `pulumi up`.",
    );
  }
  const entries = names.filter(isBackupName).sort().reverse();
  return Promise.all(entries.map(name => describeEntry(settings, name)));
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

async function describeEntry(settings: AgentSettings, name: string): Promise<CatalogueEntry> {
  const path = join(settings.backupDir, name);
  const { size } = await stat(path);
  const reading = await readManifest(join(settings.backupDir, manifestName(name) ?? name));
  if (!reading.found) {
    const flaw = reading.why === "absent" ? "no manifest" : `manifest not readable: ${reading.detail}`;
    return { name, bytes: size, manifest: null, drill: null, flaw };
  }
  const { manifest } = reading;
  const drill = await drillOutcome(settings, name, manifest);
  const flaw = flawOf(settings, name, size, manifest) ?? drillFlaw(drill);
  return { name, bytes: size, manifest, drill, flaw };
}

function flawOf(settings: AgentSettings, name: string, size: number, manifest: Manifest): string | null {
  if (manifest.stack !== settings.stack) return `of stack ${manifest.stack}`;
  if (manifest.identity === "unexpected") return "of another database";
  // Compressed or uncompressed by hand since: the manifest still knows the dump inside, unless only pg_restore does.
  if (manifest.file !== name)
    return [name, manifest.file].some(isArchiveName) ? `its manifest is of ${manifest.file}` : null;
  if (manifest.bytes !== size) return `${size} bytes, its manifest says ${manifest.bytes}`;
  return null;
}
