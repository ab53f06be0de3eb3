import { createHash } from "node:crypto";
import type { Transform } from "node:stream";
import { readPieces, watchedStream } from "./passing-bytes.ts";

export function sha256Of(bytes: Buffer | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Of all that comes, in order. */
export async function sha256OfAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

/** Of every byte of a file. */
export async function hashFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  await readPieces(path, piece => {
    hash.update(piece);
    bytes += piece.length;
  });
  return { bytes, sha256: hash.digest("hex") };
}

/** Passes chunks on as they are, and knows the sha256 of what passed once it has ended. */
export function hashingStream(): { stream: Transform; sha256: () => string } {
  const hash = createHash("sha256");
  const stream = watchedStream(chunk => void hash.update(chunk));
  return { stream, sha256: () => hash.digest("hex") };
}
