import { readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { create } from "tar";
import { dumpArchive } from "./archive-dump.ts";
import { failureOf, writeFailure } from "./dump.ts";
import { renderDirectory } from "./dump-archive.ts";
import { keepReserve, reserveGuard } from "./durable-file.ts";
import { hashingStream } from "./hashing-stream.ts";
import { type Content, readBack, type Writing } from "./write-dump.ts";

/** More than that are felt by whoever uses the database. */
const MOST_CONNECTIONS = 4;

/**
 * Has pg_dump write its directory format with several connections, and puts that into one tar file, so that it is whole or
 * not there, hashed and copied like every other backup. The directory lies hidden beside it meanwhile; the next backup
 * removes what a kill leaves.
 */
export async function writeDirectory({ settings, partial, progress, signal }: Writing): Promise<Content> {
  const { backupDir, backupDirShown, database } = settings;
  const directory = `${partial.path}.d`;
  try {
    const guard = reserveGuard(backupDir, backupDirShown);
    let before = 0;
    const jobs = Math.min(MOST_CONNECTIONS, availableParallelism());
    await dumpArchive({ directory, jobs }, database, signal, async bytes => {
      progress.at(bytes);
      await guard(bytes - before);
      before = bytes;
    });
    const fingerprint = await readBack(database, () => renderDirectory(directory, "what it wrote"));
    signal.throwIfAborted();
    const hash = hashingStream();
    const names = (await readdir(directory)).sort();
    const packed = create({ cwd: directory, portable: true, strict: true, maxReadSize: 1 << 20 }, names);
    const packing = pipeline(
      [
        Readable.from(packed, { objectMode: false }),
        hash.stream,
        keepReserve(backupDir, backupDirShown),
        partial.sink(),
      ],
      { signal },
    );
    const failure = await failureOf(packing);
    signal.throwIfAborted();
    if (failure) throw writeFailure(failure);
    const sha256 = hash.sha256();
    return { fingerprint, sha256, contentSha256: sha256 };
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
