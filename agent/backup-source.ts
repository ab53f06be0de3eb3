import { basename, dirname, join, resolve } from "node:path";
import { isBackupName, manifestName } from "./backup-name.ts";
import { newestGood } from "./catalogue.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { refuse } from "./refuse.ts";
import type { AgentSettings } from "./settings.ts";

/** A dump to read, and what was recorded about it. */
export interface BackupSource {
  /** As the operator knows it. */
  name: string;
  path: string;
  manifest: Manifest | null;
}

/** `latest`, a backup's name, or a path inside the agent. Throws a Stop when there is none such. */
export async function findBackup(settings: AgentSettings, which: string): Promise<BackupSource> {
  if (which === "latest") {
    const newest = await newestGood(settings);
    if (!newest) {
      throw refuse(
        `There is no backup of stack ${settings.stack} in ${settings.backupDirShown}`,
        "Take one with `npx budgie backup`, or name a file.",
      );
    }
    return { name: newest.name, path: join(settings.backupDir, newest.name), manifest: newest.manifest };
  }
  const path = which.includes("/") ? resolve(which) : join(settings.backupDir, which);
  return { name: basename(path), path, manifest: await manifestBeside(path) };
}

/** A manifest that is there and cannot be read is not the same as none: what it would have said is unknown. */
async function manifestBeside(path: string): Promise<Manifest | null> {
  const name = manifestName(basename(path));
  if (!name || !isBackupName(basename(path))) return null;
  const reading = await readManifest(join(dirname(path), name));
  if (reading.found) return reading.manifest;
  if (reading.why === "absent") return null;
  throw refuse(`The manifest of ${basename(path)} cannot be read: ${reading.detail}`);
}
