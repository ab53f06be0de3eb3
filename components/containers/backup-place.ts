import { isAbsolute, resolve } from "node:path";
import { isLocal } from "../../engine/address.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { backupsVolumeName, containerName } from "../../shared/names.ts";

/** Where backups are kept. */
export interface BackupPlace {
  /** An absolute path on the engine's machine, or the name of a volume there. */
  source: string;
  isVolume: boolean;
  /** For what is printed. */
  shown: string;
}

/**
 * What the operator wrote, on the engine's machine. A path that begins in the project folder leads nowhere on another machine; there
 * the backups have a volume of their own.
 */
export function backupPlace(
  engine: Pick<Engine, "host">,
  { backupDir, namePrefix }: { backupDir: string; namePrefix: string },
  projectFolder: string,
): BackupPlace {
  if (isLocal(engine.host))
    return { source: resolve(projectFolder, backupDir), isVolume: false, shown: backupDir };
  if (isAbsolute(backupDir)) return { source: backupDir, isVolume: false, shown: backupDir };
  return {
    source: backupsVolumeName(namePrefix),
    isVolume: true,
    // As `docker cp` wants it.
    shown: `${containerName(namePrefix, "backup-agent")}:/backups`,
  };
}
