import { type FileHandle, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startReader } from "./child-process.ts";
import { failureOf, pgDumpArguments, requireGoodEnd } from "./dump.ts";

/** How often what has been written is measured. */
const WATCH_EVERY_MS = 100;

/** Where a dump goes that only pg_restore reads. */
export type ArchiveTarget = { file: FileHandle } | { directory: string; jobs: number };

/**
 * Has pg_dump write its custom format into an empty file, or its directory format with several connections into a directory
 * that is not there yet. What is known of its content must be read back from what it wrote. `onBytes` hears how much that is,
 * and may throw to end it. Throws a Stop unless pg_dump said 0.
 */
export async function dumpArchive(
  target: ArchiveTarget,
  database: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => Promise<void>,
): Promise<void> {
  const toFile = "file" in target;
  const format = toFile
    ? ["--format=custom"]
    : ["--format=directory", `--jobs=${target.jobs}`, "--no-sync", `--file=${target.directory}`];
  const into = toFile ? target.file.fd : "pipe";
  const started = startReader("pg_dump", pgDumpArguments(database, format), into, signal);
  const grown = toFile ? async () => (await target.file.stat()).size : () => bytesIn(target.directory);
  const failure = await failureOf(watchGrowth(grown, started.finished, onBytes));
  // Killed, it would leave its other connections' processes to write on.
  await requireGoodEnd(database, started, failure, signal, "SIGTERM");
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
