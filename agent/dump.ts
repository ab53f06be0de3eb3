import { Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describeEnd, startReader } from "./child-process.ts";
import { type DumpFingerprint, DumpFingerprinter } from "./dump-fingerprint.ts";
import { EXIT, Stop } from "./exit-codes.ts";

/**
 * Runs pg_dump on one database and sends the plain dump through `stages` (compression, a file). The dump is read as it
 * passes, so what is known of it costs the server nothing.
 *
 * It counts only if every stage ended well, pg_dump said 0, and the dump's own completion line came: each alone has
 * been seen to lie. Throws a Stop otherwise.
 */
export async function dump(
  database: string,
  stages: readonly Writable[],
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<DumpFingerprint> {
  const fingerprinter = new DumpFingerprinter();
  const { process, finished } = startReader(
    "pg_dump",
    ["--no-password", "--format=plain", "--lock-wait-timeout=60s", `--dbname=${database}`],
    signal,
  );
  const read = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      fingerprinter.update(chunk);
      onBytes(fingerprinter.bytes);
      next(null, chunk);
    },
  });
  const written = await settle(pipeline([process.stdout, read, ...stages], { signal }));
  const end = await finished;
  if (signal.aborted) throw signal.reason;
  if (!written.ok) throw writeFailure(written.error);
  if (end.code !== 0) throw new Stop(EXIT.failed, `pg_dump of ${database} failed with ${describeEnd(end)}.`);
  const fingerprint = fingerprinter.finish();
  if (!fingerprint.complete) {
    throw new Stop(
      EXIT.failed,
      `pg_dump of ${database} ended without its completion line, so the dump is not whole.`,
    );
  }
  return fingerprint;
}

function writeFailure(error: NodeJS.ErrnoException): Error {
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

async function settle(promise: Promise<void>): Promise<{ ok: true } | { ok: false; error: Error }> {
  try {
    await promise;
    return { ok: true };
  } catch (error) {
    return { ok: false, error: error as Error };
  }
}
