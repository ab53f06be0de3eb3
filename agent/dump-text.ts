import { createHash } from "node:crypto";
import { Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { DumpStream, ReadDump } from "./dump-file.ts";
import { DumpFingerprinter } from "./dump-fingerprint.ts";
import type { TextKind } from "./dump-kind.ts";
import { refuse } from "./refuse.ts";
import type { Progress } from "./reporter.ts";
import { createZstdDecompress } from "./zstd.ts";

const DECOMPRESS: Record<TextKind, () => Transform[]> = {
  plain: () => [],
  gzip: () => [createGunzip()],
  zstd: () => [createZstdDecompress()],
};

/**
 * Sends a dump in SQL, uncompressed, into `sink`, and returns what passed. Throws a Stop for one whose compression breaks off;
 * what `source` fails with is passed on.
 */
export async function readText(
  { source, kind, shown }: DumpStream & { kind: TextKind },
  sink: Writable,
  progress: Progress,
  signal?: AbortSignal,
): Promise<ReadDump> {
  const compressed = kind !== "plain";
  const file = createHash("sha256");
  const fingerprinter = new DumpFingerprinter();
  let bytes = 0;
  const raw = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.length;
      if (compressed) file.update(chunk);
      progress.at(bytes);
      next(null, chunk);
    },
  });
  const plain = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      fingerprinter.update(chunk);
      next(null, chunk);
    },
  });
  try {
    await pipeline([source, raw, ...DECOMPRESS[kind](), plain, sink], signal ? { signal } : {});
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (/^Z(STD)?_/.test(code))
      throw refuse(`${shown} is corrupt: its compression breaks off or does not add up`);
    throw error;
  }
  const fingerprint = fingerprinter.finish();
  const sha256 = compressed ? file.digest("hex") : fingerprint.sha256;
  return { kind, bytes, sha256, contentSha256: fingerprint.sha256, fingerprint };
}
