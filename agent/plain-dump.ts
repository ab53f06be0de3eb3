import { createHash } from "node:crypto";
import type { Writable } from "node:stream";
import type { ReadDump } from "./dump-file.ts";
import { DumpFingerprinter } from "./dump-fingerprint.ts";
import { readPieces } from "./file-pieces.ts";
import type { Progress } from "./reporter.ts";

/** Reads a plain dump's file to its end, with memory that does not grow with it. */
export async function readPlainDump(path: string, progress: Progress): Promise<ReadDump> {
  const fingerprinter = new DumpFingerprinter();
  await readPieces(path, piece => {
    fingerprinter.update(piece);
    progress.at(fingerprinter.bytes);
  });
  const fingerprint = fingerprinter.finish();
  const { bytes, sha256 } = fingerprint;
  return { kind: "plain", bytes, sha256, contentSha256: sha256, fingerprint };
}

/**
 * Sends a file into `sink` as it is, ends it, and returns the sha256 of what passed. `sink` must be done with a piece when it says so,
 * as a program's input is.
 */
export async function feedFile(path: string, sink: Writable, progress: Progress): Promise<string> {
  const hash = createHash("sha256");
  let bytes = 0;
  // Told by whoever's write it was.
  sink.on("error", () => undefined);
  try {
    await readPieces(path, async piece => {
      hash.update(piece);
      await write(sink, piece);
      bytes += piece.length;
      progress.at(bytes);
    });
  } finally {
    sink.end();
  }
  return hash.digest("hex");
}

function write(sink: Writable, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(piece, error => (error ? reject(error) : resolve()));
  });
}
