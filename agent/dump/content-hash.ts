import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { DECOMPRESS, explainDecompression } from "./decompress.ts";
import { isArchiveKind, kindOfFile } from "./kind.ts";

/** Reads a file to its end and returns what a manifest calls its `contentSha256`. Throws a Stop for what cannot be read. */
export async function hashContent(path: string, shown: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const kind = await kindOfFile(path, shown);
  const stages = isArchiveKind(kind) ? [] : DECOMPRESS[kind]();
  try {
    await pipeline([createReadStream(path, { highWaterMark: 1 << 18 }), ...stages, hash], { signal });
  } catch (error) {
    throw explainDecompression(error, shown);
  }
  return hash.digest("hex");
}
