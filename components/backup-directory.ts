import { mkdirSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { type Engine, isLocal } from "./engine.ts";

/**
 * The absolute path of the backup directory on the engine's machine, for what the operator wrote. Throws, with what to type,
 * for one that cannot be it.
 */
export function backupDirectoryPath(engine: Engine, written: string, projectFolder: string): string {
  if (isLocal(engine.host)) return resolve(projectFolder, written);
  if (isAbsolute(written)) return written;
  throw new Error(
    `The container engine is on another machine (${engine.host}), so budgie:backupDir must be an absolute path there; it is ${written}.\n` +
      "  pulumi config set budgie:backupDir /var/lib/budgie/backups",
  );
}

/**
 * Makes the directory where it is missing: by this program, so that it belongs to the operator and is closed to others; an
 * engine would make it as root, open to all. Throws, with what to type.
 */
export function createBackupDirectory(engine: Engine, path: string): void {
  if (!isLocal(engine.host)) return;
  const next = "\n  pulumi config set budgie:backupDir ANOTHER_FOLDER";
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(
      `The backup directory ${path} cannot be made (${(error as NodeJS.ErrnoException).code}).${next}`,
    );
  }
  if (!statSync(path).isDirectory()) throw new Error(`The backup directory ${path} is not a folder.${next}`);
}
