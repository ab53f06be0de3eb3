import { statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { isLocal } from "../../engine/address.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { type RefreshFrom, refreshTargetProblem } from "../../settings/refresh.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { isSameFolder } from "./backup-directory.ts";

const SET_SOURCE = "  npm run pulumi -- config set budgie:refreshSource FOLDER";

/** The absolute path, on the engine's machine, of the folder that a refresh reads; undefined where it reads none. */
export function refreshDirectoryPath(refresh: RefreshFrom | undefined): string | undefined {
  return refresh?.place.kind === "directory" ? resolve(PROJECT_FOLDER, refresh.place.path) : undefined;
}

/**
 * Says why this stack cannot be refreshed as it is set up. The stack's first name counts as well: its backups go by that. A folder that
 * is missing would be made by the engine, as root's and empty.
 */
export function refreshProblem(
  engine: Engine,
  stack: string,
  refresh: RefreshFrom | undefined,
  backupDirectory: string,
): string | undefined {
  if (refresh === undefined) return undefined;
  const target = refreshTargetProblem(stack, refresh.stack);
  if (target !== null)
    return `${target} Nothing was changed.\n  npm run pulumi -- config rm budgie:refreshFrom`;
  if (refresh.place.kind !== "directory") return undefined;
  const { path } = refresh.place;
  if (!isLocal(engine.host))
    return isAbsolute(path)
      ? undefined
      : `The container engine is on another machine (${engine.host}), so budgie:refreshSource must be an absolute path there; it is ${path}. Nothing was changed.\n${SET_SOURCE}`;
  const folder = resolve(PROJECT_FOLDER, path);
  if (isSameFolder(folder, backupDirectory))
    return `budgie:refreshSource is this stack's own backup directory, ${folder}. Nothing was changed.\nName that of ${refresh.stack}:\n${SET_SOURCE}`;
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  return `budgie:refreshSource is ${path}, and there is no folder ${folder}. Nothing was changed.\nName the backup directory of ${refresh.stack}:\n${SET_SOURCE}`;
}
