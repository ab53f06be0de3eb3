import { createHash } from "node:crypto";
import { type FileHandle, link, open, readdir, rename, stat, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EXIT, Stop } from "./exit-codes.ts";

/**
 * The invariant of the backup directory: a file under a final name is whole and on disk, or it does not exist.
 * Bytes go to a hidden partial name; then fsync of the file, the final name, fsync of the directory, in that order.
 */

const PARTIAL = ".partial-";

/** Never fill the last of a disk: the database may live on the same one, and PostgreSQL stops when its WAL cannot grow. */
export const RESERVED_BYTES = 64 * 1024 * 1024;

export interface PartialFile {
  handle: FileHandle;
  path: string;
  /** Makes the bytes durable and gives them their final name; refuses a name that exists. */
  publish(finalName: string): Promise<void>;
  discard(): Promise<void>;
}

/** Opens a new hidden file in `directory`, mode 0600, owned by whoever owns the directory: backups belong to the operator. */
export async function openPartial(directory: string, stack: string, label: string): Promise<PartialFile> {
  const path = join(directory, `${PARTIAL}${stack}-${label}`);
  await unlink(path).catch(ignoreAbsent);
  const handle = await open(path, "wx", 0o600);
  const { uid, gid } = await stat(directory);
  await handle.chown(uid, gid).catch(ignoreNotPermitted);
  return {
    handle,
    path,
    async publish(finalName) {
      await handle.sync();
      await handle.close();
      await link(path, join(directory, finalName));
      await unlink(path);
      await syncDirectory(directory);
    },
    async discard() {
      await handle.close().catch(() => undefined);
      await unlink(path).catch(ignoreAbsent);
    },
  };
}

/** Replaces a small file in one step: readers see the old text or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  const partial = await openPartial(directory, "replace", basename(path));
  try {
    await partial.handle.writeFile(text);
    await partial.handle.sync();
    await partial.handle.close();
    await rename(partial.path, path);
    await syncDirectory(directory);
  } catch (error) {
    await partial.discard();
    throw error;
  }
}

/** Deletes what a killed run of this stack left half-written. Only safe while holding the lock: nobody else is writing. */
export async function removeLeftovers(directory: string, stack: string): Promise<string[]> {
  const leftovers = (await readdir(directory)).filter(name => name.startsWith(`${PARTIAL}${stack}-`));
  for (const name of leftovers) await unlink(join(directory, name)).catch(ignoreAbsent);
  return leftovers;
}

export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

export async function requireSpace(directory: string, shown: string, needed: number): Promise<void> {
  const free = await freeBytes(directory);
  if (free >= needed + RESERVED_BYTES) return;
  throw new Stop(
    EXIT.noSpace,
    `Not enough space in ${shown}: ${megabytes(needed + RESERVED_BYTES)} are needed (of which ${megabytes(RESERVED_BYTES)} stay free for the database), ${megabytes(free)} are free.`,
    "Free some space there, or move old backups elsewhere, then run the same command again.",
  );
}

/** sha256 of a file's bytes, read in one pass with flat memory. */
export async function fileSha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(path, "r");
  try {
    for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false }))
      hash.update(chunk);
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MB`;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

function ignoreNotPermitted(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPERM") throw error;
}
