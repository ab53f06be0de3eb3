import { randomBytes } from "node:crypto";
import { chown, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { type ReadEntry, Unpack } from "tar";
import { keepReserve } from "../base/durable-file.ts";
import { abandonedFolders, removeAbandonedFolders, withHeldFolder } from "../base/held-folder.ts";
import { refuse } from "../base/refuse.ts";
import { THROWAWAY_HOME, THROWAWAY_SHOWN } from "../throwaway/place.ts";

/**
 * The files of pg_dump's directory format, by themselves or within the directory. Nothing else is unpacked, and each under its own
 * name, so that no name leads out of the directory.
 */
const PART =
  /^((?:\.\/)?(?:(?!\.\.\/)[^/]+\/)?)(toc\.dat|blobs(_\d+)?\.toc|(blob_)?\d+\.dat(\.gz|\.lz4|\.zst)?)$/;
const SCRATCH = "unpacked-";

/** Runs `work` with an empty directory on the container's own disk, and removes it afterwards. Removes those of killed commands first. */
export async function withScratch<T>(work: (directory: string) => Promise<T>): Promise<T> {
  await removeAbandonedScratch();
  const directory = join(THROWAWAY_HOME, `${SCRATCH}${randomBytes(6).toString("hex")}`);
  return withHeldFolder(directory, "unpacking a dump", () => work(directory));
}

/** Directories that nobody holds were left by commands that were killed. */
export function abandonedScratch(): Promise<string[]> {
  return abandonedFolders(THROWAWAY_HOME, SCRATCH);
}

export function removeAbandonedScratch(): Promise<void> {
  return removeAbandonedFolders(THROWAWAY_HOME, SCRATCH);
}

/** Unpacks the tar file of a pg_dump directory, which `feed` sends. Throws a Stop for anything else, and for a full disk. */
export async function unpackDirectory(
  feed: (sink: Writable) => Promise<void>,
  directory: string,
  shown: string,
): Promise<void> {
  const reserve = keepReserve(directory, THROWAWAY_SHOWN);
  const sink = unpackInto(directory);
  reserve.on("error", error => sink.destroy(error));
  sink.on("error", error => reserve.destroy(error));
  reserve.pipe(sink);
  const unpacked = new Promise<void>((resolve, reject) => sink.on("close", resolve).on("error", reject));
  const [fed, done] = await Promise.allSettled([feed(reserve), unpacked]);
  if (done.status === "rejected")
    throw done.reason instanceof BadTar ? refuse(`${shown} is ${done.reason.message}`) : done.reason;
  if (fed.status === "rejected") throw fed.reason;
  const parts = await readdir(directory);
  if (!parts.includes("toc.dat")) throw refuse(`${shown} is a tar file, and not of a pg_dump directory`);
}

/** For a program that runs as somebody else. */
export async function giveAway(directory: string, owner: { uid: number; gid: number }): Promise<void> {
  for (const name of await readdir(directory)) await chown(join(directory, name), owner.uid, owner.gid);
  await chown(directory, owner.uid, owner.gid);
}

function unpackInto(directory: string): Writable {
  let folder: string | null = null;
  const unpack = new Unpack({
    cwd: directory,
    strict: true,
    preserveOwner: false,
    noMtime: true,
    filter: (path, entry) => {
      const part = entry as ReadEntry;
      const { type } = part;
      if (type === "Directory" && /^(?:\.\/)?(?!\.\.\/?$)[^/]+\/?$/.test(path)) return false;
      const [, before, name] = PART.exec(path) ?? [];
      if ((type === "File" || type === "OldFile") && name !== undefined && before === (folder ?? before)) {
        folder = before ?? null;
        part.path = name;
        return true;
      }
      writable.destroy(new BadTar(`a tar file, and not of a pg_dump directory: it holds ${path}`));
      return false;
    },
  });
  const writable = new Writable({
    highWaterMark: 1 << 20,
    write: (chunk: Buffer, _encoding, next) => {
      if (unpack.write(chunk)) next();
      else unpack.once("drain", () => next());
    },
    final: next => {
      unpack.once("close", () => next());
      unpack.end();
    },
  });
  unpack.on("error", (error: NodeJS.ErrnoException) =>
    writable.destroy(
      error.code?.startsWith("TAR_") ? new BadTar(`cut off or corrupt (${error.message})`) : error,
    ),
  );
  return writable;
}

/** The file is wrong, and not the disk that it is unpacked to, or where it comes from. */
class BadTar extends Error {}
