import { type FileHandle, open, readdir, rename, rm, stat, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Transform, Writable } from "node:stream";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import {
  isDiskFull,
  isOnlyTaken,
  publishNew,
  syncDirectory,
  unlessWithoutOwners,
} from "../../shared/file-systems.ts";
import { RESERVED_BYTES } from "../../shared/reserved-bytes.ts";

/**
 * The invariant of the backup directory: a file under a final name is whole and on disk, or it does not exist.
 * Bytes go to a hidden partial name; then fsync of the file, the final name, fsync of the directory, in that order.
 * (On a file system without hard links, a kill can leave an empty file under a final name: see `publishNew`.)
 */

const PARTIAL = ".partial-";
/** The label of what `replaceFile` writes. */
const REPLACING = "replace";
const REPLACED_WITHIN_MS = 3_600_000;

export interface PartialFile {
  handle: FileHandle;
  path: string;
  /** Appends what is written to it. Ending it leaves the file open, for `publish` to make durable. */
  sink(): Writable;
  /** Makes the bytes durable and gives them their final name; refuses a name that exists. */
  publish(finalName: string): Promise<void>;
  /** The same, in the place of whatever has the name: readers see the old file or the new one. */
  replace(finalName: string): Promise<void>;
  discard(): Promise<void>;
}

export function isPartial(name: string): boolean {
  return name.startsWith(PARTIAL);
}

/** Where the bytes lie that are to become the file `name`. */
export function partialPath(directory: string, stack: string, name: string): string {
  return join(directory, `${PARTIAL}${stack}-${name}`);
}

/** Opens a new hidden file in `directory`, mode 0600, owned by whoever owns the directory: backups belong to the operator. */
export async function openPartial(directory: string, stack: string, label: string): Promise<PartialFile> {
  const path = partialPath(directory, stack, label);
  await unlink(path).catch(ignoreAbsent);
  const handle = await open(path, "wx+", 0o600);
  const { uid, gid } = await stat(directory);
  await handle.chown(uid, gid).catch(unlessWithoutOwners);
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
      await publishNew(path, join(directory, finalName));
      await syncDirectory(directory);
    },
    async replace(finalName) {
      await handle.sync();
      await handle.close();
      await rename(path, join(directory, finalName));
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
  const partial = await openPartial(directory, REPLACING, basename(path));
  try {
    await partial.handle.writeFile(text);
    await partial.replace(basename(path));
  } catch (error) {
    await partial.discard();
    throw error;
  }
}

/** What a killed run of this stack left half-written. Nobody writes to it only under the lock. */
export async function leftPartials(directory: string, stack: string): Promise<string[]> {
  const names = await readdir(directory);
  // Only under a backup's name: stack `dev` must leave alone what belongs to a stack `dev-two` in the same directory.
  const own = names.filter(name => isOwn(name, stack));
  const replacing = names.filter(name => name.startsWith(`${PARTIAL}${REPLACING}-`));
  const old = await Promise.all(replacing.map(name => isOld(join(directory, name))));
  return [...own, ...replacing.filter((_, index) => old[index])];
}

/** Deletes what a killed run of this stack left half-written. Only safe under the lock, while nobody else writes. */
export async function removeLeftovers(directory: string, stack: string): Promise<string[]> {
  const leftovers = await leftPartials(directory, stack);
  for (const name of leftovers) {
    const path = join(directory, name);
    const final = join(directory, name.slice(`${PARTIAL}${stack}-`.length));
    // First the name that it took: without the file beside it, nobody would know what an empty file is.
    if (isOwn(name, stack) && (await isOnlyTaken(path, final))) await unlink(final);
    // A pg_dump whose agent was killed may be at its last file.
    await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
  return leftovers;
}

function isOwn(name: string, stack: string): boolean {
  return name.startsWith(`${PARTIAL}${stack}-budgie_`);
}

/** A small file is replaced in an instant, and not under the lock. */
async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found !== null && Date.now() - found.mtimeMs > REPLACED_WITHIN_MS;
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

/** Why whoever fills the disk of `directory` must stop: it is about to lose its reserve, or nobody knows. Null when neither is so. */
async function whyStop(directory: string, shown: string, atOnce = 0): Promise<Stop | null> {
  let free: number;
  try {
    free = await freeBytes(directory);
  } catch (error) {
    return new Stop(
      EXIT.failed,
      `Stopped because nobody knows how much space is left in ${shown}: ${(error as Error).message}.`,
      "See that it is there and can be read, then run the same command again.",
    );
  }
  if (free >= RESERVED_BYTES + atOnce) return null;
  const more = atOnce > 0 ? `, beside ${megabytes(atOnce)} for what comes next` : "";
  return new Stop(
    EXIT.noSpace,
    `Stopped because only ${megabytes(free)} are left in ${shown}, and ${megabytes(RESERVED_BYTES)} stay free for the database${more}.`,
    "Free some space there, or move old backups elsewhere, then run the same command again.",
  );
}

/**
 * Looks at the disk of `directory` until the returned function is called. Tells why whoever fills it must stop. `atOnce`: how many
 * bytes it takes in one go, between two looks.
 */
export function watchReserve(
  directory: string,
  shown: string,
  everyMs: number,
  stop: (why: Stop) => void,
  atOnce = 0,
): () => void {
  const timer = setInterval(async () => {
    const why = await whyStop(directory, shown, atOnce);
    if (why) stop(why);
  }, everyMs);
  return () => clearInterval(timer);
}

const ASK_EVERY_BYTES = 8 * 1024 * 1024;

/** Call the guard with how many bytes were written. It throws a Stop once the disk of `directory` is about to lose its reserve. */
export function reserveGuard(directory: string, shown: string): (bytes: number) => Promise<void> {
  let unasked = 0;
  return async bytes => {
    unasked += bytes;
    if (unasked < ASK_EVERY_BYTES) return;
    unasked = 0;
    const why = await whyStop(directory, shown);
    if (why) throw why;
  };
}

/** Passes chunks on while the disk of `directory` keeps its reserve, and fails with a Stop when it does not. */
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
 * Has the disk write meanwhile what `wrote` reports, so that the fsync at the end has little left to do. `done` throws when a
 * flush failed: the kernel reports a lost write once, and the fsync may not hear of it again.
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

/** What a write failed with, as a Stop. Only a full disk has the exit code of one. */
export function explainWrite(error: unknown, what: string, shown: string): Stop {
  if (error instanceof Stop) return error;
  if (isDiskFull(error)) return diskFull(shown);
  if (isTooLarge(error)) return tooLarge(shown);
  return new Stop(
    EXIT.failed,
    `${what} could not be written to ${shown}: ${(error as Error).message}.`,
    "See that files can be written there, then run the same command again.",
  );
}

/** FAT takes no file of 4 GB or more. */
export function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EFBIG";
}

export function tooLarge(shown: string): Stop {
  return new Stop(
    EXIT.failed,
    `The file system of ${shown} takes no file as large as this one.`,
    "Take a smaller format (npm run pulumi -- config set budgie:backupFormat sql.zst), or a directory on another file system (npm run pulumi -- config set budgie:backupDir ANOTHER_FOLDER).",
  );
}

export function diskFull(shown: string): Stop {
  return new Stop(
    EXIT.noSpace,
    `The disk with ${shown} is full.`,
    "Free some space there, then run the same command again.",
  );
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

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
