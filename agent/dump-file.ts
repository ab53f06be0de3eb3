import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { type Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { type DumpFingerprint, DumpFingerprinter } from "./dump-fingerprint.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Manifest } from "./manifest.ts";
import type { Progress } from "./reporter.ts";

/** A dump as it lies on disk, read from its first byte to its last. */
export interface ReadDump {
  bytes: number;
  sha256: string;
  gzipped: boolean;
  fingerprint: DumpFingerprint;
}

/**
 * Sends a plain or gzipped dump, uncompressed, into `sink`, and returns what passed. Throws a Stop for a file that is
 * missing, empty, no plain dump, or whose compression breaks off.
 */
export async function readDump(
  path: string,
  shown: string,
  sink: Writable,
  progress: Progress,
  signal?: AbortSignal,
): Promise<ReadDump> {
  const gzipped = await sniff(path, shown);
  const source = createReadStream(path, { highWaterMark: 1 << 20 });
  return readDumpStream({ source, gzipped, shown }, sink, progress, signal);
}

export interface DumpStream {
  source: Readable;
  gzipped: boolean;
  shown: string;
}

/** The same for a dump that comes from elsewhere. What `source` fails with is passed on. */
export async function readDumpStream(
  { source, gzipped, shown }: DumpStream,
  sink: Writable,
  progress: Progress,
  signal?: AbortSignal,
): Promise<ReadDump> {
  const file = createHash("sha256");
  const fingerprinter = new DumpFingerprinter();
  let bytes = 0;
  const raw = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.length;
      if (gzipped) file.update(chunk);
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
  const stages = [source, raw, ...(gzipped ? [createGunzip()] : []), plain, sink];
  try {
    await pipeline(stages, signal ? { signal } : {});
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code.startsWith("Z_"))
      throw refuse(`${shown} is corrupt: its compression breaks off or does not add up`);
    throw error;
  }
  const fingerprint = fingerprinter.finish();
  return { bytes, sha256: gzipped ? file.digest("hex") : fingerprint.sha256, gzipped, fingerprint };
}

/** Reads a whole dump and keeps only what there is to know about it. */
export function inspectDump(path: string, shown: string, progress: Progress): Promise<ReadDump> {
  return readDump(path, shown, new Writable({ write: (_chunk, _encoding, next) => next() }), progress);
}

/** Throws a Stop unless the dump is whole, and is the one that its manifest (if it has one) describes. */
export function requireWhole(dump: ReadDump, shown: string, manifest: Manifest | null): void {
  const { fingerprint } = dump;
  if (!fingerprint.hasHeader) throw refuse(`${shown} is not a plain pg_dump file`);
  if (!fingerprint.complete) throw refuse(`${shown} is cut off: pg_dump's completion line is missing`);
  if (fingerprint.escape) {
    throw refuse(
      `${shown} would leave the database it is loaded into (${fingerprint.escape}); it was made with pg_dump --create`,
    );
  }
  if (!manifest) return;
  if (fingerprint.sha256 !== manifest.contentSha256) {
    throw refuse(
      `${shown} is corrupt: its bytes are not those that its manifest recorded (sha256 ${manifest.contentSha256.slice(0, 12)}…)`,
    );
  }
}

export function refuse(what: string, next = "Use another backup: `npx budgie list` shows them."): Stop {
  return new Stop(EXIT.unusableBackup, `${what}.`, next);
}

async function sniff(path: string, shown: string): Promise<boolean> {
  const { size } = await stat(path).catch(() => {
    throw refuse(`${shown} does not exist`);
  });
  if (size === 0) throw refuse(`${shown} is empty`);
  const handle = await open(path, "r");
  try {
    const head = Buffer.alloc(5);
    await handle.read(head, 0, 5, 0);
    if (head.toString("latin1") === "PGDMP") {
      throw refuse(
        `${shown} is a custom-format dump, which this command does not read`,
        `Make it plain first: pg_restore --file=plain.sql ${shown}`,
      );
    }
    return head[0] === 0x1f && head[1] === 0x8b;
  } finally {
    await handle.close();
  }
}
