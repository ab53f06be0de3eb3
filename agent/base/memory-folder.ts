import { randomBytes } from "node:crypto";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { abandonedFolders, removeAbandonedFolders, withHeldFolder } from "./held-folder.ts";

/** In memory, never on a disk. */
const HOME = "/dev/shm";
const PREFIX = "budgie-files-";

/** Who may read the files. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Runs `work` with the path of a folder in memory that holds `files`, their contents by their names, and removes it afterwards.
 * Nobody but `owner` and root can read them. `clearLeftMemoryFolders` removes what a killed process has left of them.
 */
export function withMemoryFolder<T>(
  owner: Owner,
  files: Readonly<Record<string, string | Buffer>>,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(HOME, `${PREFIX}${randomBytes(8).toString("hex")}`);
  return withHeldFolder(folder, "reaching a server", async () => {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await writeFile(path, content, { mode: 0o400, flag: "wx" });
      await chown(path, owner.uid, owner.gid);
    }
    // Last, so that nobody else could put anything in it.
    await chown(folder, owner.uid, owner.gid);
    return work(folder);
  });
}

/** The names of those that killed processes have left. */
export function leftMemoryFolders(): Promise<string[]> {
  return abandonedFolders(HOME, PREFIX);
}

export function clearLeftMemoryFolders(): Promise<void> {
  return removeAbandonedFolders(HOME, PREFIX);
}
