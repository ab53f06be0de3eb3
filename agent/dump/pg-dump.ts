import type { FileHandle } from "node:fs/promises";
import { Readable, Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { isDiskFull } from "../../shared/file-systems.ts";
import { describeEnd, type RunAs, type StartedReader, startReader } from "../base/child-process.ts";
import { diskFull, isTooLarge, tooLarge } from "../base/durable-file.ts";
import { SEE_THE_SERVER } from "../base/next-steps.ts";
import { DUMP_SESSION } from "../server/orphans.ts";
import { type DumpFingerprint, DumpFingerprinter } from "./fingerprint.ts";

/** Which database is dumped, from which server and as whom, and until when. */
export interface Dumping {
  database: string;
  client: RunAs;
  signal: AbortSignal;
  /** A snapshot that another session shares; its own when left out. */
  snapshot?: string;
}

/** What the server says to whoever reads large objects in the place of a receiver of WAL (agent/server/own-place.ts). */
const NOT_IN_OWN_PLACE = "not supported in a replication connection";

/** How often a file that pg_dump has not got further with is looked at again. */
const LOOK_AGAIN_MS = 25;

/**
 * Runs pg_dump on one database and sends the plain dump through `stages` (compression, a file). The dump is read as it
 * passes, so what is known of it costs the server nothing.
 *
 * The dump counts only if every stage ended well, pg_dump said 0, and the dump's own completion line came: each alone has been
 * seen to lie. Throws a Stop otherwise.
 */
export async function dump(
  dumping: Dumping,
  stages: readonly Writable[],
  onBytes: (bytes: number) => void,
): Promise<DumpFingerprint> {
  const { database, client, signal } = dumping;
  const fingerprinter = new DumpFingerprinter();
  const args = pgDumpArguments(database, [...PLAIN, ...snapshotOf(dumping)]);
  const started = startReader("pg_dump", args, "pipe", signal, client);
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
  return finishDump(dumping, started, fingerprinter, failure);
}

/**
 * The same, but pg_dump writes `file` itself while its bytes are read back: a dump through a pipe takes a sixth longer. So what
 * is known of the dump is known of the file's own bytes. `onBytes` may throw to end it.
 */
export async function dumpInto(
  dumping: Dumping,
  file: FileHandle,
  onBytes: (bytes: number) => Promise<void>,
): Promise<DumpFingerprint> {
  const { database, client, signal } = dumping;
  const fingerprinter = new DumpFingerprinter();
  const args = pgDumpArguments(database, [...PLAIN, ...snapshotOf(dumping)]);
  const started = startReader("pg_dump", args, file.fd, signal, client);
  const failure = await failureOf(
    follow(file, started.finished, async chunk => {
      fingerprinter.update(chunk);
      await onBytes(fingerprinter.bytes);
    }),
  );
  return finishDump(dumping, started, fingerprinter, failure);
}

async function finishDump(
  dumping: Dumping,
  started: StartedReader,
  fingerprinter: DumpFingerprinter,
  failure: Error | null,
): Promise<DumpFingerprint> {
  await requireGoodEnd(dumping, started, failure);
  const fingerprint = fingerprinter.finish();
  requireComplete(dumping.database, fingerprint);
  return fingerprint;
}

/** Throws a Stop when a dump lacks pg_dump's completion line. */
export function requireComplete(database: string, { complete }: DumpFingerprint): void {
  if (complete) return;
  throw new Stop(
    EXIT.failed,
    `pg_dump of ${database} ended without its completion line, so the dump is not whole.`,
    SEE_THE_SERVER,
  );
}

/** Waits for pg_dump to end. Throws a Stop unless it ends well, and for a `failure` of whoever watched it. */
export async function requireGoodEnd(
  { database, signal }: Pick<Dumping, "database" | "signal">,
  { process, finished }: StartedReader,
  failure: Error | null,
  stopWith: NodeJS.Signals = "SIGKILL",
): Promise<void> {
  // Nobody reads its output any more, so nobody watches the disk.
  if (failure) process.kill(stopWith);
  const end = await finished;
  if (signal.aborted) throw signal.reason;
  if (failure) throw writeFailure(failure);
  if (end.code === 0) return;
  if (end.errors.includes(NOT_IN_OWN_PLACE)) {
    throw new Stop(
      EXIT.failed,
      `${database} holds large objects, which pg_dump reads over an ordinary connection alone, and clients have taken every one of those.`,
      "`npx budgie status` says who has them, and what ends the idle ones. Then run the same command again.",
    );
  }
  throw new Stop(EXIT.failed, `pg_dump of ${database} failed with ${describeEnd(end)}.`, SEE_THE_SERVER);
}

/** Reads a file that a process appends to, until the process and the file have ended. `take` must not keep the chunk. */
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

export function snapshotOf({ snapshot }: Dumping): string[] {
  return snapshot === undefined ? [] : [`--snapshot=${snapshot}`];
}

export function pgDumpArguments(database: string, format: readonly string[]): string[] {
  return [
    "--no-password",
    ...format,
    "--lock-wait-timeout=60s",
    `--dbname=dbname=${quoted(database)} application_name='${DUMP_SESSION}'`,
  ];
}

/** For psql that is fed and listened to: it stops at the first error, and prints values and nothing else. */
export function psqlArguments(database: string, session: string): string[] {
  return [
    "--no-psqlrc",
    "--quiet",
    "--no-align",
    "--tuples-only",
    "--no-password",
    "--set=ON_ERROR_STOP=1",
    `--dbname=dbname=${quoted(database)} application_name='${session}'`,
  ];
}

/** For a connection string. */
function quoted(value: string): string {
  return `'${value.replace(/[\\']/g, "\\$&")}'`;
}

export function writeFailure(error: Error): Stop {
  if (error instanceof Stop) return error;
  if (isDiskFull(error)) return diskFull("the backup directory");
  if (isTooLarge(error)) return tooLarge("the backup directory");
  return new Stop(
    EXIT.failed,
    `The dump could not be written: ${error.message}.`,
    "See that files can be written to the backup directory, then run the same command again.",
  );
}

export async function failureOf(promise: Promise<void>): Promise<Error | null> {
  return promise.then(
    () => null,
    (error: Error) => error,
  );
}
