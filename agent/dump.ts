import type { FileHandle } from "node:fs/promises";
import { Readable, Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { describeEnd, type RunAs, type StartedReader, startReader } from "./child-process.ts";
import { type DumpFingerprint, DumpFingerprinter } from "./dump-fingerprint.ts";
import { EXIT, Stop } from "./exit-codes.ts";

/** By which the server's list of sessions tells the agent's dumps from others. */
export const DUMP_SESSION = "budgie dump";

/**
 * What a database's or a role's own settings would change in the text of the same data, and pg_dump leaves as it is. Said
 * with every dump, so that two of them can be compared wherever and under whichever settings they were made.
 */
const SAME_TEXT = [
  "TimeZone=UTC",
  "bytea_output=hex",
  "standard_conforming_strings=on",
  "quote_all_identifiers=off",
]
  .map(setting => `-c ${setting}`)
  .join(" ");

/** How often a file that pg_dump has not got further with is looked at again. */
const LOOK_AGAIN_MS = 25;

/**
 * Runs pg_dump on one database and sends the plain dump through `stages` (compression, a file). The dump is read as it
 * passes, so what is known of it costs the server nothing.
 *
 * It counts only if every stage ended well, pg_dump said 0, and the dump's own completion line came: each alone has
 * been seen to lie. Throws a Stop otherwise. The server is the stack's own unless `runAs`'s environment names another.
 */
export async function dump(
  database: string,
  stages: readonly Writable[],
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
  runAs?: RunAs,
): Promise<DumpFingerprint> {
  const fingerprinter = new DumpFingerprinter();
  const started = startReader("pg_dump", pgDumpArguments(database, PLAIN), "pipe", signal, runAs);
  const read = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      fingerprinter.update(chunk);
      onBytes(fingerprinter.bytes);
      next(null, chunk);
    },
  });
  const output = Readable.from(started.output, { objectMode: false });
  const failure = await failureOf(pipeline([output, read, ...stages], { signal }));
  return judge(database, started, fingerprinter, failure, signal);
}

/**
 * The same, with pg_dump writing `file` itself while its bytes are read back: a dump through a pipe takes a sixth longer.
 * What is known of the dump is then known of the file's own bytes. `onBytes` may throw to end it.
 */
export async function dumpInto(
  file: FileHandle,
  database: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => Promise<void>,
): Promise<DumpFingerprint> {
  const fingerprinter = new DumpFingerprinter();
  const started = startReader("pg_dump", pgDumpArguments(database, PLAIN), file.fd, signal);
  const failure = await failureOf(
    follow(file, started.finished, async chunk => {
      fingerprinter.update(chunk);
      await onBytes(fingerprinter.bytes);
    }),
  );
  return judge(database, started, fingerprinter, failure, signal);
}

async function judge(
  database: string,
  started: StartedReader,
  fingerprinter: DumpFingerprinter,
  failure: Error | null,
  signal: AbortSignal,
): Promise<DumpFingerprint> {
  await requireGoodEnd(database, started, failure, signal);
  const fingerprint = fingerprinter.finish();
  requireComplete(database, fingerprint);
  return fingerprint;
}

/** Throws a Stop when a dump lacks pg_dump's completion line. */
export function requireComplete(database: string, { complete }: DumpFingerprint): void {
  if (complete) return;
  throw new Stop(
    EXIT.failed,
    `pg_dump of ${database} ended without its completion line, so the dump is not whole.`,
  );
}

/** Waits for pg_dump's end, which must be a good one; throws a Stop for any other, and for a `failure` of whoever watched it. */
export async function requireGoodEnd(
  database: string,
  { process, finished }: StartedReader,
  failure: Error | null,
  signal: AbortSignal,
  stopWith: NodeJS.Signals = "SIGKILL",
): Promise<void> {
  // Nobody reads any more, so nobody watches the disk.
  if (failure) process.kill(stopWith);
  const end = await finished;
  if (signal.aborted) throw signal.reason;
  if (failure) throw writeFailure(failure);
  if (end.code !== 0) throw new Stop(EXIT.failed, `pg_dump of ${database} failed with ${describeEnd(end)}.`);
}

/** Reads a file while a process still appends to it, up to its end after the process's end. `take` must not keep the chunk. */
async function follow(
  file: FileHandle,
  finished: Promise<unknown>,
  take: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  let writing = true;
  void finished.then(() => {
    writing = false;
  });
  const chunk = Buffer.allocUnsafe(1 << 20);
  for (let at = 0; ; ) {
    const mayGrow = writing;
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    at += bytesRead;
    if (bytesRead > 0) await take(chunk.subarray(0, bytesRead));
    else if (!mayGrow) return;
    if (bytesRead < chunk.length && mayGrow) await delay(LOOK_AGAIN_MS);
  }
}

const PLAIN = ["--format=plain"];

export function pgDumpArguments(database: string, format: readonly string[]): string[] {
  return [
    "--no-password",
    ...format,
    "--lock-wait-timeout=60s",
    `--dbname=dbname=${database} application_name='${DUMP_SESSION}' options='${SAME_TEXT}'`,
  ];
}

export function writeFailure(error: NodeJS.ErrnoException): Error {
  if (error instanceof Stop) return error;
  if (error.code === "ENOSPC" || error.code === "EDQUOT") {
    return new Stop(
      EXIT.noSpace,
      "The disk with the backup directory is full.",
      "Free some space there, then run the same command again.",
    );
  }
  return new Stop(EXIT.failed, `The dump could not be written: ${error.message}.`);
}

export async function failureOf(promise: Promise<void>): Promise<Error | null> {
  return promise.then(
    () => null,
    (error: Error) => error,
  );
}
