import type { Transform } from "node:stream";
import zlib from "node:zlib";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

/** Node has it since version 22.15. The agent's Node does; the one that runs the unit tests may not. */
interface Zstd {
  createZstdCompress(options: { chunkSize: number; params: Record<number, number> }): Transform;
  createZstdDecompress(options: { chunkSize: number }): Transform;
  constants: { ZSTD_c_compressionLevel: number; ZSTD_c_checksumFlag: number };
}

const CHUNK_BYTES = 1 << 18;

/** With a checksum of the content in the file, which `zstd -t` tests. */
export function createZstdCompress(): Transform {
  const { createZstdCompress: create, constants } = zstd();
  const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 };
  return create({ chunkSize: CHUNK_BYTES, params });
}

export function createZstdDecompress(): Transform {
  return zstd().createZstdDecompress({ chunkSize: CHUNK_BYTES });
}

function zstd(): Zstd {
  if ("createZstdCompress" in zlib) return zlib as unknown as Zstd;
  throw new Stop(
    EXIT.failed,
    `Node ${process.version} has no zstd; the backup agent needs 22.15 or newer for sql.zst.`,
    "Use another format: npx budgie backup --format sql.gz",
  );
}
