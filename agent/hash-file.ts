import { createHash } from "node:crypto";
import { readPieces } from "./file-pieces.ts";

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
