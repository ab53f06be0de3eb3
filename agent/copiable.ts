import { listBackups } from "./catalogue.ts";
import type { Manifest } from "./manifest.ts";
import type { AgentSettings } from "./settings.ts";

/**
 * The manifests of what is to have copies elsewhere, newest first: this stack's backups, of whatever database, as they were
 * written. A file that was compressed, cut or put there by hand is nobody's record of what the database held.
 */
export async function copiableBackups(settings: AgentSettings): Promise<Manifest[]> {
  return (await listBackups(settings)).flatMap(({ name, bytes, manifest }) =>
    manifest?.stack === settings.stack && manifest.file === name && manifest.bytes === bytes
      ? [manifest]
      : [],
  );
}
