import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** In memory, never on a disk. */
const HOME = "/dev/shm";
/** With the process that made it. */
const NAME = /^budgie-of-(\d+)-[0-9a-f]{16}$/;

/** Who may read the files. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Runs `work` with the path of a folder in memory that holds `files`, their contents by their names, and removes it afterwards.
 * Nobody but `owner` and root can read them. `clearLeftMemoryFolders` removes what a killed process has left of them.
 */
export async function withMemoryFolder<T>(
  owner: Owner,
  files: Readonly<Record<string, string | Buffer>>,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(HOME, `budgie-of-${process.pid}-${randomBytes(8).toString("hex")}`);
  try {
    await mkdir(folder, { mode: 0o700 });
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await writeFile(path, content, { mode: 0o400, flag: "wx" });
      await chown(path, owner.uid, owner.gid);
    }
    // Last, so that nobody else could put anything in it.
    await chown(folder, owner.uid, owner.gid);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Those whose process is gone. */
export async function leftMemoryFolders(home = HOME): Promise<string[]> {
  const names = await readdir(home).catch(() => []);
  return names
    .filter(name => {
      const [, process] = NAME.exec(name) ?? [];
      return process !== undefined && !isAlive(Number(process));
    })
    .map(name => join(home, name));
}

export async function clearLeftMemoryFolders(): Promise<void> {
  for (const folder of await leftMemoryFolders()) await rm(folder, { recursive: true, force: true });
}

function isAlive(process: number): boolean {
  try {
    globalThis.process.kill(process, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
