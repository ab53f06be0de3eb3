import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { replaceFile } from "../base/durable-file.ts";
import { manifestName } from "./backup-name.ts";
import { readManifestKey } from "./key.ts";
import { isAuthentic, signed } from "./mac.ts";
import { type Manifest, manifestText, readManifest } from "./manifest.ts";

/**
 * Writes a change into a backup's manifest as it is now, because others write there too. Does nothing where there is no manifest.
 * Only a manifest that was authentic until now is signed again: one that somebody else wrote keeps its MAC, even a wrong one or none.
 */
export async function changeManifest(
  settings: AgentSettings,
  file: string,
  change: Partial<Manifest>,
): Promise<void> {
  const key = await readManifestKey(settings);
  const path = join(settings.backupDir, manifestName(file) as string);
  const reading = await readManifest(path);
  if (!reading.found) return;
  const changed = { ...reading.record, ...change };
  await replaceFile(path, manifestText(isAuthentic(key, reading.json) ? signed(key, changed) : changed));
}
