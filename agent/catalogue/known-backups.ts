import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { fileExists } from "../base/file-exists.ts";
import { isBackupName, manifestName } from "../manifest/backup-name.ts";
import { type CatalogueEntry, isOnlyUnloadable, namesInDirectory } from "./catalogue.ts";
import { type Known, readKnown, remember, stillKnown } from "./known.ts";

/** Notes each backup that counts, so that it is missed when it is gone. */
export function rememberBackups(settings: AgentSettings, entries: readonly CatalogueEntry[]): Promise<void> {
  const seen = entries.flatMap(entry => {
    const { name, manifest, flaw } = entry;
    if (!manifest || (flaw && !isOnlyUnloadable(entry))) return [];
    const { finishedAt, systemIdentifier, tables } = manifest;
    return [{ name, at: finishedAt, systemIdentifier, tables: tables.length }];
  });
  return remember(settings, seen, name => fileExists(join(settings.backupDir, name)));
}

/**
 * Oldest first. One that was compressed or uncompressed by hand is not missing. One that is there without its manifest counts no more
 * than one that is gone. The directory is looked at after the notes: a backup that is taken meanwhile is not missed.
 */
export async function missingBackups(settings: AgentSettings): Promise<Known[]> {
  const known = (await readKnown(settings)).filter(({ name }) => isBackupName(name));
  const names = await namesInDirectory(settings);
  const dumps = new Set(names.map(manifestName));
  const manifests = new Set(names);
  const gone = known.flatMap(backup => {
    const manifest = manifestName(backup.name) ?? "";
    if (!dumps.has(manifest)) return [backup];
    return manifests.has(manifest) ? [] : [{ ...backup, lacks: manifest }];
  });
  return stillKnown(settings, gone);
}
