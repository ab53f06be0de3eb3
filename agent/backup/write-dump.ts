import { stat } from "node:fs/promises";
import type { Transform } from "node:stream";
import { createGzip } from "node:zlib";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { BackupFormat } from "../../shared/backup-format.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import {
  backgroundFlush,
  keepReserve,
  openPartial,
  type PartialFile,
  reserveGuard,
} from "../base/durable-file.ts";
import { hashingStream } from "../base/hashing.ts";
import type { Progress, Reporter } from "../base/reporter.ts";
import { createZstdCompress } from "../base/zstd.ts";
import { inspectDump } from "../dump/inspect.ts";
import { dump, dumpInto } from "../dump/pg-dump.ts";
import { writeArchive } from "../dump/write-archive.ts";
import { withOptions, withServerClient } from "../server/client-programs.ts";
import type { SessionEncoding } from "../server/connection.ts";
import type { Written } from "./new-manifest.ts";
import { writeDirectory } from "./write-directory.ts";
import { type Content, readBack, type Writing } from "./writing.ts";

/** A dump that is to be written. */
export interface NewDump {
  format: BackupFormat;
  name: string;
  connections: number;
  encoding: SessionEncoding;
  /** What pg_dump sees; what is there when it begins, when null. */
  snapshot: string | null;
}

const WRITERS: Record<BackupFormat, (writing: Writing) => Promise<Content>> = {
  sql: writePlain,
  "sql.gz": writing => writeCompressed(writing, createGzip({ level: 6, chunkSize: 1 << 18 })),
  "sql.zst": writing => writeCompressed(writing, createZstdCompress()),
  dump: writeCustom,
  "dir.tar": writeDirectory,
};

/**
 * Writes a dump of the stack's database. The dump gets its name once it is whole and on disk, and `beforeName`, which is told of it,
 * has ended well. Returns what that returned. Throws a Stop, and leaves nothing.
 */
export async function writeDump<T>(
  settings: AgentSettings,
  { format, name, connections, encoding, snapshot }: NewDump,
  beforeName: (written: Written) => Promise<T>,
  signal: AbortSignal,
  report: Reporter,
): Promise<T> {
  const partial = await openPartial(settings.backupDir, settings.stack, name);
  const progress = report.progress("dumping", null);
  try {
    const content = await withServerClient(settings, null, reader => {
      const client = withOptions(reader, { client_encoding: encoding });
      const dumping = { database: settings.database, client, signal, ...(snapshot ? { snapshot } : {}) };
      return WRITERS[format]({ settings, dumping, partial, connections, progress });
    });
    const { size } = await stat(partial.path);
    const told = await beforeName({ ...content, bytes: size });
    await publish(partial, name);
    return told;
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
      "See that files can be made in the backup directory, then run the same command again.",
    );
  }
}

async function writePlain({ settings, dumping, partial, progress }: Writing): Promise<Content> {
  const { grown, done } = whileItGrows(settings, partial, progress);
  const fingerprint = await dumpInto(dumping, partial.handle, grown);
  await done();
  return { fingerprint, sha256: fingerprint.sha256, contentSha256: fingerprint.sha256 };
}

async function writeCompressed(
  { settings, dumping, partial, progress }: Writing,
  compress: Transform,
): Promise<Content> {
  const hash = hashingStream();
  const stages = [
    compress,
    hash.stream,
    keepReserve(settings.backupDir, settings.backupDirShown),
    partial.sink(),
  ];
  const fingerprint = await dump(dumping, stages, bytes => progress.at(bytes));
  return { fingerprint, sha256: hash.sha256(), contentSha256: fingerprint.sha256 };
}

/** pg_dump goes back in the file to note where each table lies, so what is in it is read afterwards. */
async function writeCustom({ settings, dumping, partial, progress }: Writing): Promise<Content> {
  const { grown, done } = whileItGrows(settings, partial, progress);
  await writeArchive(dumping, { file: partial.handle }, grown);
  await done();
  const read = await readBack(settings.database, () => inspectDump(partial.path, "what it wrote", progress));
  dumping.signal.throwIfAborted();
  return read;
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
