import { chown, mkdir, readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { create } from "tar";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { keepReserve, reserveGuard } from "../base/durable-file.ts";
import { hashingStream } from "../base/hashing.ts";
import { DumpFingerprinter } from "../dump/fingerprint.ts";
import { failureOf, writeFailure } from "../dump/pg-dump.ts";
import { readDirectory } from "../dump/read-archive.ts";
import { writeArchive } from "../dump/write-archive.ts";
import { type Content, readBack, type Writing } from "./writing.ts";

/** More would slow down whoever uses the database. */
const MOST_CONNECTIONS = 4;

/** How many connections are wanted, where there is memory for them. */
export function wantedConnections(): number {
  return Math.min(MOST_CONNECTIONS, availableParallelism());
}

/**
 * Has pg_dump write its directory format with several connections, and puts the directory into one tar file. So it is whole or
 * not there, hashed and copied, like every other backup. Meanwhile the directory lies hidden beside it; the next backup removes
 * what a kill leaves.
 */
export async function writeDirectory({
  settings,
  dumping,
  partial,
  connections,
  progress,
}: Writing): Promise<Content> {
  const { backupDir, backupDirShown } = settings;
  const { database, client, signal } = dumping;
  const directory = `${partial.path}.d`;
  try {
    await mkdir(directory, { mode: 0o700 });
    await chown(directory, client.uid, client.gid).catch(error => {
      throw withoutOwners(error, backupDirShown);
    });
    const guard = reserveGuard(backupDir, backupDirShown);
    let before = 0;
    await writeArchive(dumping, { directory, jobs: connections }, async bytes => {
      progress.at(bytes);
      await guard(bytes - before);
      before = bytes;
    });
    const fingerprint = await readBack(database, async () => {
      const fingerprinter = new DumpFingerprinter();
      await readDirectory(directory, "what it wrote", part => fingerprinter.update(part));
      return fingerprinter.finish();
    });
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

function withoutOwners(error: NodeJS.ErrnoException, shown: string): Stop {
  return new Stop(
    EXIT.failed,
    `The format dir.tar needs files that have owners, and ${shown} has none (chown: ${error.code}).`,
    "Take another format: npx budgie backup --format sql.gz",
  );
}
