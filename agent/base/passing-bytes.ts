import { open } from "node:fs/promises";
import { Transform } from "node:stream";
import type { Progress } from "./reporter.ts";

/** Looks at a chunk as it passes, and does not keep it. What it throws ends the stream. */
export type Look = (chunk: Buffer) => void;

/** Shows how many bytes have passed. */
export function countInto(progress: Progress): Look {
  let bytes = 0;
  return chunk => {
    bytes += chunk.length;
    progress.at(bytes);
  };
}

/** Passes chunks on as they are, each once `look` has seen it. */
export function watchedStream(look: Look): Transform {
  return new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, next) {
      try {
        look(chunk);
        next(null, chunk);
      } catch (error) {
        next(error as Error);
      }
    },
  });
}

/** The same for chunks that are taken one after the other. */
export async function* watched<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  look: (chunk: T) => void,
): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    look(chunk);
    yield chunk;
  }
}

const PIECE_BYTES = 1 << 20;

/**
 * Reads a file from its first byte to its last, a megabyte at a time, always into the same memory. A stream takes new memory
 * for each piece, and the longer the file is, the more of it. `take` must not keep the piece beyond its own end.
 */
export async function readPieces(path: string, take: (piece: Buffer) => void | Promise<void>): Promise<void> {
  const file = await open(path, "r");
  try {
    const memory = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(memory, 0, PIECE_BYTES, null);
      if (bytesRead === 0) return;
      await take(memory.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
