import type { Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { refuse } from "../base/refuse.ts";
import { createZstdDecompress } from "../base/zstd.ts";
import type { TextKind } from "./kind.ts";

/** What makes SQL of a dump's bytes. */
export const DECOMPRESS: Record<TextKind, () => Transform[]> = {
  plain: () => [],
  gzip: () => [createGunzip()],
  zstd: () => [createZstdDecompress()],
};

/** Holds what a decompressor fails with against the file, and passes every other error on. */
export function explainDecompression(error: unknown, shown: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return /^Z(STD)?_/.test(code)
    ? refuse(`${shown} is corrupt: its compression breaks off or does not add up`)
    : error;
}
