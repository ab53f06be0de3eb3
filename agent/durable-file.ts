import { type FileHandle, link, open, readdir, rename, rm, stat, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Transform, Writable } from "node:stream";
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
  /** Appends what is written to it. Ending it leaves the file open, for `publish` to make durable. */
  sink(): Writable;
  /** Makes the bytes durable and gives them their final name; refuses a name that exists. */
  publish(finalName: string): Promise<void>;
  discard(): Promise<void>;
}

/** Opens a new hidden file in `directory`, mode 0600, owned by whoever owns the directory: backups belong to the operator. */
export async function openPartial(directory: string, stack: string, label: string): Promise<PartialFile> {
  const path = join(directory, `${PARTIAL}${stack}-${label}`);
  await unlink(path).catch(ignoreAbsent);
  const handle = await open(path, "wx+", 0o600);
  const { uid, gid } = await stat(directory);
  await handle.chown(uid, gid).catch(ignoreNotPermitted);
  return {
    handle,
    path,
    sink: () =>
      new Writable({
        highWaterMark: 4 << 20,
        write: (chunk: Buffer, _encoding, next) => void append(handle, chunk, next),
      }),
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
export async function replaceFile(path: string, text: string | Buffer): Promise<void> {
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
  // Only under a backup's name: stack `dev` must leave alone what belongs to a stack `dev-two` in the same directory.
  const leftovers = (await readdir(directory)).filter(name => name.startsWith(`${PARTIAL}${stack}-budgie_`));
  // A pg_dump whose agent was killed may be at its last file.
  for (const name of leftovers)
    await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5 });
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

const ASK_EVERY_BYTES = 8 * 1024 * 1024;

/** Is told how many bytes were written; throws a Stop once the disk of `directory` is about to lose its reserve. */
export function reserveGuard(directory: string, shown: string): (bytes: number) => Promise<void> {
  let unasked = 0;
  return async bytes => {
    unasked += bytes;
    if (unasked < ASK_EVERY_BYTES) return;
    unasked = 0;
    const free = await freeBytes(directory).catch(() => 0);
    if (free >= RESERVED_BYTES) return;
    throw new Stop(
      EXIT.noSpace,
      `Stopped because only ${megabytes(free)} are left in ${shown}, and ${megabytes(RESERVED_BYTES)} stay free for the database.`,
      "Free some space there, or move old backups elsewhere, then run the same command again.",
    );
  };
}

/** Passes chunks on for as long as the disk of `directory` keeps its reserve; fails with a Stop when it does not. */
export function keepReserve(directory: string, shown: string): Transform {
  const guard = reserveGuard(directory, shown);
  return new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      guard(chunk.length).then(() => next(null, chunk), next);
    },
  });
}

const FLUSH_EVERY_BYTES = 32 * 1024 * 1024;

/**
 * Is told how many bytes were written, and has the disk write them meanwhile, so that the fsync at the end finds little left
 * to do. `done` throws when a flush failed: the kernel reports a lost write once, and the fsync may not hear of it again.
 */
export function backgroundFlush(handle: FileHandle): { wrote(bytes: number): void; done(): Promise<void> } {
  let unflushed = 0;
  let flushing: Promise<void> | null = null;
  let failure: Error | null = null;
  return {
    wrote(bytes) {
      unflushed += bytes;
      if (unflushed < FLUSH_EVERY_BYTES || flushing) return;
      unflushed = 0;
      flushing = handle.datasync().then(
        () => {
          flushing = null;
        },
        (error: Error) => {
          failure = error;
        },
      );
    },
    async done() {
      await flushing;
      if (failure) throw failure;
    },
  };
}

async function append(
  handle: FileHandle,
  chunk: Buffer,
  next: (error?: Error | null) => void,
): Promise<void> {
  try {
    for (let written = 0; written < chunk.length; ) {
      written += (await handle.write(chunk, written)).bytesWritten;
    }
    next();
  } catch (error) {
    next(error as Error);
  }
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
