import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { listBackups } from "./catalogue.ts";

/**
 * The manifests of the backups that need copies elsewhere, newest first: this stack's own, signed with its key, of whatever
 * database, and as they were written. A file that somebody compressed, cut or put there is no record of what the database held.
 */
export async function backupsToCopy(settings: AgentSettings): Promise<Manifest[]> {
  return (await listBackups(settings)).flatMap(({ name, bytes, manifest, authentic }) =>
    authentic && manifest?.stack === settings.stack && manifest.file === name && manifest.bytes === bytes
      ? [manifest]
      : [],
  );
}
