import { link, open, rename, stat, unlink } from "node:fs/promises";

/** How FAT, exFAT, and some FUSE and SMB file systems say that they have no hard links. */
const WITHOUT_LINKS = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"];
/** How they say that all their files belong to whoever mounted them. */
const WITHOUT_OWNERS = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL"];

/**
 * Gives a file that is whole and on disk its final name. Throws EEXIST for a name that exists, and overwrites nothing.
 *
 * A hard link does that in one step. Where there are none, the final name is first taken by an empty file, which fails where
 * anything has the name. Then the whole file is renamed over the empty one. A kill in between leaves both. So a file under a final
 * name is whole, or it is empty while the file that was to get the name still lies beside it: see `isOnlyTaken`.
 */
export async function publishNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!WITHOUT_LINKS.includes(codeOf(error))) throw error;
    return renameToNew(from, to);
  }
  await unlink(from);
}

async function renameToNew(from: string, to: string): Promise<void> {
  await (await open(to, "wx", 0o600)).close();
  try {
    await rename(from, to);
  } catch (error) {
    if (await isOnlyTaken(from, to)) await unlink(to);
    throw error;
  }
}

/** Whether `to` is nothing but the name that `publishNew` took for `from`, before a kill. */
export async function isOnlyTaken(from: string, to: string): Promise<boolean> {
  const [source, taken] = await Promise.all([from, to].map(path => stat(path).catch(() => null)));
  return Boolean(source && source.size > 0 && taken?.isFile() && taken.size === 0);
}

/** For what `chown` throws: a backup does not fail because a file system has no owners. */
export function unlessWithoutOwners(error: unknown): void {
  if (!WITHOUT_OWNERS.includes(codeOf(error))) throw error;
}

/** Waits until the names in it are on disk: a file that was synced may still lack its name after a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether the disk, or this user's share of it, is full. */
export function isDiskFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(codeOf(error));
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
