import { createHash } from "node:crypto";
import { Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describeEnd, type Finished, startFilter } from "./child-process.ts";
import type { DumpStream, ReadDump } from "./dump-file.ts";
import { type DumpFingerprint, DumpFingerprinter } from "./dump-fingerprint.ts";
import type { ArchiveKind } from "./dump-kind.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { refuse } from "./refuse.ts";
import type { Progress } from "./reporter.ts";
import { unpackDirectory, withScratch } from "./unpacked-directory.ts";
import { untilItEnds } from "./until-it-ends.ts";

/**
 * What is in a dump that only pg_restore understands: the SQL that it makes of it is byte for byte what a plain dump of the
 * same database is, so all kinds are compared alike. Asks no server. Throws a Stop for one that pg_restore does not read to
 * its end; what `source` fails with is passed on.
 */
export async function readArchive(
  { source, kind, shown }: DumpStream & { kind: ArchiveKind },
  progress: Progress,
): Promise<ReadDump> {
  const hash = createHash("sha256");
  let bytes = 0;
  const raw = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.length;
      hash.update(chunk);
      progress.at(bytes);
      next(null, chunk);
    },
  });
  const incoming = async (sink: Writable) => pipeline([source, raw, sink]);
  const fingerprint =
    kind === "custom"
      ? await renderArchive(["--format=custom"], shown, incoming)
      : await withScratch(async directory => {
          await unpackDirectory(incoming, directory, shown);
          return renderDirectory(directory, shown);
        });
  const sha256 = hash.digest("hex");
  return { kind, bytes, sha256, contentSha256: sha256, fingerprint };
}

/** The same for a directory of pg_dump's. */
export function renderDirectory(directory: string, shown: string): Promise<DumpFingerprint> {
  return renderArchive(["--format=directory", directory], shown, async sink => void sink.end());
}

async function renderArchive(
  args: readonly string[],
  shown: string,
  feed: (sink: Writable) => Promise<void>,
): Promise<DumpFingerprint> {
  const fingerprinter = new DumpFingerprinter();
  const { input, output, finished } = startFilter("pg_restore", ["--file=-", ...args]);
  const feeding = feed(untilItEnds(input)).then(
    () => null,
    (error: Error) => error,
  );
  for await (const chunk of output) fingerprinter.update(chunk);
  const end = await finished;
  const failure = await feeding;
  if (failure) throw failure;
  requireRead(end, shown);
  return fingerprinter.finish();
}

/** Only what pg_restore itself says is held against the file. */
function requireRead(end: Finished, shown: string): void {
  if (end.code === 0) return;
  if (end.code === null)
    throw new Stop(EXIT.failed, `${shown} could not be read; pg_restore ended with ${describeEnd(end)}.`);
  const newer = /unsupported version \(([\d.]+)\) in file header/.exec(end.errors);
  if (newer) {
    throw refuse(
      `${shown} was made by a newer pg_dump than this server's (archive version ${newer[1]})`,
      "Restore it into a server of its own major version, then dump it there with this version's pg_dump.",
    );
  }
  throw refuse(`${shown} is cut off or corrupt; pg_restore ended with ${describeEnd(end)}`);
}
