import { basename, dirname, join, resolve } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";
import { isBackupName, manifestName } from "../manifest/backup-name.ts";
import { readManifestKey } from "../manifest/key.ts";
import { isAuthentic } from "../manifest/mac.ts";
import { type Manifest, readManifest } from "../manifest/manifest.ts";
import { listBackups, newestGood } from "./catalogue.ts";

/** A dump to read, and what was recorded about it. */
export interface BackupSource {
  /** As the operator knows it. */
  name: string;
  path: string;
  manifest: Manifest | null;
  /**
   * Whether there is a manifest that this stack's agent wrote and nobody changed since. Without that, anybody may have made the
   * backup, and a manifest that fits it.
   */
  authentic: boolean;
}

/** What a restore reads, and what is done with it afterwards. */
export type RestoreSource = BackupSource & {
  /** As messages name it. */
  shown: string;
  discard(): Promise<void>;
};

/** Finds `latest`, a backup by its name, or one at a path inside the agent. Throws a Stop when there is none. */
export async function findBackup(settings: AgentSettings, which: string): Promise<BackupSource> {
  if (which === "latest") {
    const newest = await newestGood(settings);
    if (!newest) throw await noneCounts(settings);
    const { name, manifest, authentic } = newest;
    return { name, path: join(settings.backupDir, name), manifest, authentic };
  }
  const path = which.includes("/") ? resolve(which) : join(settings.backupDir, which);
  return { name: basename(path), path, ...(await manifestBeside(settings, path)) };
}

async function noneCounts(settings: AgentSettings): Promise<Stop> {
  const { stack, backupDirShown } = settings;
  const [newest] = await listBackups(settings);
  if (!newest)
    return refuse(
      `There is no backup of stack ${stack} in ${backupDirShown}`,
      "Take one with `npx budgie backup`, or name a file.",
    );
  return refuse(
    `No backup in ${backupDirShown} counts as one of stack ${stack}; the newest, ${newest.name}, does not: ${newest.flaw}`,
    `If it is the one you want, say so by its name: npx budgie restore ${newest.name}`,
  );
}

/** A manifest that cannot be read is not the same as none: what it would have said is unknown. */
async function manifestBeside(
  settings: AgentSettings,
  path: string,
): Promise<Pick<BackupSource, "manifest" | "authentic">> {
  const none = { manifest: null, authentic: false };
  const name = manifestName(basename(path));
  if (!name || !isBackupName(basename(path))) return none;
  const reading = await readManifest(join(dirname(path), name));
  if (reading.found) {
    const { record: manifest, json } = reading;
    return { manifest, authentic: isAuthentic(await readManifestKey(settings), json) };
  }
  if (reading.why === "absent") return none;
  throw refuse(`The manifest of ${basename(path)} cannot be read: ${reading.detail}`);
}
