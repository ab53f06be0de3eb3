import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { containerLockHolder, withContainerLock } from "./container-lock.ts";

/** Runs `work` with a new folder at `path`, and removes it afterwards. Whoever asks is told that `operation` holds it meanwhile. */
export function withHeldFolder<T>(path: string, operation: string, work: () => Promise<T>): Promise<T> {
  return withContainerLock(path, operation, async () => {
    try {
      await mkdir(path, { mode: 0o700 });
      return await work();
    } finally {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
    }
  });
}

/** The names in `home` that begin with `prefix`, and whose folders nobody holds: commands that were killed have left them. */
export async function abandonedFolders(home: string, prefix: string): Promise<string[]> {
  const names = (await readdir(home)).filter(name => name.startsWith(prefix));
  const holders = await Promise.all(names.map(name => containerLockHolder(join(home, name))));
  return names.filter((_, index) => holders[index] === null);
}

/** DESTROYS them. */
export async function removeAbandonedFolders(home: string, prefix: string): Promise<void> {
  for (const name of await abandonedFolders(home, prefix))
    await rm(join(home, name), { recursive: true, force: true });
}
