import { open } from "node:fs/promises";

const PIECE_BYTES = 1 << 20;

/**
 * Reads a file from its first byte to its last, a megabyte at a time, always into the same memory: a stream takes new memory for
 * each piece, and the more of it the longer the file is. `take` must not keep the piece beyond its own end.
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
