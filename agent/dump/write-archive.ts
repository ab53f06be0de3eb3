import { type FileHandle, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startReader } from "../base/child-process.ts";
import { type Dumping, failureOf, pgDumpArguments, requireGoodEnd, snapshotOf } from "./pg-dump.ts";

/** How often what has been written is measured. */
const WATCH_EVERY_MS = 100;

/** Where pg_dump writes a dump for pg_restore: an empty file, or an empty directory that its user may write to. */
export type ArchiveTarget = { file: FileHandle } | { directory: string; jobs: number };

/**
 * Has pg_dump write its custom format into a file, or its directory format with several connections into a directory. Its content
 * must be read back afterwards to be known. `onBytes` hears how much is written, and may throw to end it. Throws a Stop unless
 * pg_dump said 0.
 */
export async function writeArchive(
  dumping: Dumping,
  target: ArchiveTarget,
  onBytes: (bytes: number) => Promise<void>,
): Promise<void> {
  const { database, client, signal } = dumping;
  const toFile = "file" in target;
  const format = toFile
    ? ["--format=custom"]
    : ["--format=directory", `--jobs=${target.jobs}`, "--no-sync", "--file=."];
  const into = toFile ? target.file.fd : "pipe";
  const rights = toFile ? client : { ...client, cwd: target.directory };
  const args = pgDumpArguments(database, [...format, ...snapshotOf(dumping)]);
  const started = startReader("pg_dump", args, into, signal, rights);
  const grown = toFile ? async () => (await target.file.stat()).size : () => bytesIn(target.directory);
  const failure = await failureOf(watchGrowth(grown, started.finished, onBytes));
  // If it were killed, the processes of its other connections would go on writing.
  await requireGoodEnd(dumping, started, failure, "SIGTERM");
}

/** The size of a flat directory's files; 0 while there is none. */
async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(names.map(name => stat(join(directory, name)).then(({ size }) => size)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function watchGrowth(
  grown: () => Promise<number>,
  finished: Promise<unknown>,
  onBytes: (bytes: number) => Promise<void>,
): Promise<void> {
  let writing = true;
  const end = finished.then(() => {
    writing = false;
  });
  while (writing) {
    await onBytes(await grown());
    await Promise.race([end, delay(WATCH_EVERY_MS)]);
  }
}
