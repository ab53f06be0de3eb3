import { stat } from "node:fs/promises";
import type { Transform } from "node:stream";
import { createGzip } from "node:zlib";
import { dumpArchive } from "./archive-dump.ts";
import type { BackupFormat } from "./backup-format.ts";
import { dump, dumpInto, requireComplete } from "./dump.ts";
import { inspectDump } from "./dump-file.ts";
import type { DumpFingerprint } from "./dump-fingerprint.ts";
import { backgroundFlush, keepReserve, openPartial, type PartialFile, reserveGuard } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { hashingStream } from "./hashing-stream.ts";
import type { Progress, Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { writeDirectory } from "./write-directory.ts";
import { createZstdCompress } from "./zstd.ts";

/** What is known of a dump once it is written. */
export interface Content {
  fingerprint: DumpFingerprint;
  /** Of the file. */
  sha256: string;
  /** As a manifest has it. */
  contentSha256: string;
}

export interface Written extends Content {
  bytes: number;
}

/** What one format's writer is given. */
export interface Writing {
  settings: AgentSettings;
  /** Empty, and to be filled through its handle or its sink. */
  partial: PartialFile;
  progress: Progress;
  signal: AbortSignal;
}

const WRITERS: Record<BackupFormat, (writing: Writing) => Promise<Content>> = {
  sql: writePlain,
  "sql.gz": writing => writeCompressed(writing, createGzip({ level: 6, chunkSize: 1 << 18 })),
  "sql.zst": writing => writeCompressed(writing, createZstdCompress()),
  dump: writeCustom,
  "dir.tar": writeDirectory,
};

/**
 * Writes a dump of the stack's database and gives it its name, once it is whole and on disk and `beside` is there too. Throws a Stop,
 * and leaves nothing.
 */
export async function writeDump(
  settings: AgentSettings,
  format: BackupFormat,
  name: string,
  beside: Promise<unknown>,
  signal: AbortSignal,
  report: Reporter,
): Promise<Written> {
  const partial = await openPartial(settings.backupDir, settings.stack, name);
  const progress = report.progress("dumping", null);
  try {
    const content = await WRITERS[format]({ settings, partial, progress, signal });
    const { size } = await stat(partial.path);
    await beside;
    await publish(partial, name);
    return { ...content, bytes: size };
  } catch (error) {
    await partial.discard();
    throw error;
  } finally {
    progress.end();
  }
}

export async function publish(partial: PartialFile, name: string): Promise<void> {
  try {
    await partial.publish(name);
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `The backup could not be given its name ${name}: ${(error as Error).message}.`,
    );
  }
}

async function writePlain({ settings, partial, progress, signal }: Writing): Promise<Content> {
  const { grown, done } = whileItGrows(settings, partial, progress);
  const fingerprint = await dumpInto(partial.handle, settings.database, signal, grown);
  await done();
  return { fingerprint, sha256: fingerprint.sha256, contentSha256: fingerprint.sha256 };
}

async function writeCompressed(
  { settings, partial, progress, signal }: Writing,
  compress: Transform,
): Promise<Content> {
  const hash = hashingStream();
  const stages = [
    compress,
    hash.stream,
    keepReserve(settings.backupDir, settings.backupDirShown),
    partial.sink(),
  ];
  const fingerprint = await dump(settings.database, stages, signal, bytes => progress.at(bytes));
  return { fingerprint, sha256: hash.sha256(), contentSha256: fingerprint.sha256 };
}

/** pg_dump goes back in the file to note where each table lies, so what is in it is read afterwards. */
async function writeCustom({ settings, partial, progress, signal }: Writing): Promise<Content> {
  const { grown, done } = whileItGrows(settings, partial, progress);
  await dumpArchive({ file: partial.handle }, settings.database, signal, grown);
  await done();
  const read = await readBack(settings.database, () => inspectDump(partial.path, "what it wrote", progress));
  signal.throwIfAborted();
  return read;
}

/** What cannot be read back was never a backup, so there is none to use instead. Throws a Stop for it. */
export async function readBack<T extends DumpFingerprint | Pick<Content, "fingerprint">>(
  database: string,
  read: () => Promise<T>,
): Promise<T> {
  try {
    const found = await read();
    requireComplete(database, "fingerprint" in found ? found.fingerprint : found);
    return found;
  } catch (error) {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    throw new Stop(EXIT.failed, `pg_dump of ${database} succeeded, and ${error.message}`);
  }
}

/** For a file that pg_dump itself writes: shows how far it is, keeps the disk's reserve, and has the disk write meanwhile. */
function whileItGrows(
  { backupDir, backupDirShown }: AgentSettings,
  { handle }: PartialFile,
  progress: Progress,
) {
  const keepReserve = reserveGuard(backupDir, backupDirShown);
  const flush = backgroundFlush(handle);
  let before = 0;
  const grown = async (bytes: number) => {
    progress.at(bytes);
    flush.wrote(bytes - before);
    await keepReserve(bytes - before);
    before = bytes;
  };
  return { grown, done: () => flush.done() };
}
