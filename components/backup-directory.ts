import { mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { type Engine, engineClient, isLocal } from "./engine.ts";

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

/**
 * Says which other stack on the engine keeps its backups in this directory. Of two that have one name (two checkouts may both
 * have a `dev`), each would take the other's backups for its own, prune them, and restore them.
 */
export async function sharedDirectoryProblem(
  engine: Engine,
  namePrefix: string,
  path: string,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const place = isLocal(engine.host) ? withoutLinks : (path: string) => path;
  const label = ["budgie.role=backup-agent"];
  const agents = await engineClient(engine.host).listContainers({ all: true, filters: { label } });
  const other = agents.find(
    ({ Labels: labels }) =>
      labels["budgie.prefix"] !== namePrefix && place(labels["budgie.backup-dir"] ?? "") === place(path),
  );
  if (!other) return undefined;
  return [
    `The backup directory ${path} is that of the stack ${other.Labels["budgie.stack"]} (${other.Labels["budgie.prefix"]}) on this container engine. Nothing was changed.`,
    "Give this stack one of its own:",
    `  pulumi config set budgie:backupDir ./backups-${namePrefix}`,
  ].join("\n");
}

/** Two paths to one folder are one folder. What does not exist yet is told by the nearest folder above it that does. */
function withoutLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(withoutLinks(above), basename(path));
  }
}
