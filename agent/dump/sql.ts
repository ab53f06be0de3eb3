import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type Readable, type Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { readPieces, watchedStream } from "../base/passing-bytes.ts";
import { DECOMPRESS, explainDecompression } from "./decompress.ts";
import { refusePackedTwice } from "./file-shapes.ts";
import { type DumpKind, isArchiveKind, kindOfHead } from "./kind.ts";
import { UnixLineEnds } from "./line-ends.ts";
import type { ReadOptions, TakePart } from "./parts.ts";
import { readArchive } from "./read-archive.ts";

/** A dump's bytes, wherever they come from. */
export interface DumpBytes {
  /** A path, or the bytes as they come. */
  source: string | Readable;
  kind: DumpKind;
  /** As messages name it. */
  shown: string;
}

/** What is known of the bytes that were read, compressed as they are. */
export interface ReadBytes {
  bytes: number;
  /** null unless it was asked for. */
  sha256: string | null;
  /** Whether the SQL had the line ends of Windows, which were taken out. */
  converted: boolean;
}

const PART_BYTES = 1 << 20;

/**
 * Reads a dump of any kind from its first byte to its last, and gives out the SQL in it, with memory that does not grow with it.
 * Throws a Stop for a dump whose compression breaks off, or that pg_restore does not read to its end. What the source fails with
 * is passed on.
 */
export async function readSql(dump: DumpBytes, give: TakePart, options: ReadOptions): Promise<ReadBytes> {
  const { signal, progress } = options;
  const hash = options.hashed ? createHash("sha256") : null;
  let bytes = 0;
  const pass = (part: Buffer) => {
    signal?.throwIfAborted();
    bytes += part.length;
    hash?.update(part);
    progress.at(bytes);
  };
  const { source, kind, shown } = dump;
  const lines = new UnixLineEnds(give);
  const take = (part: Buffer) => lines.part(part);
  if (kind === "plain" && typeof source === "string") {
    // A stream takes new memory for each part, and the more of it the longer the file is.
    await readPieces(source, async part => {
      pass(part);
      await take(part);
    });
  } else {
    const file =
      typeof source === "string" ? createReadStream(source, { highWaterMark: PART_BYTES }) : source;
    const feed = (...stages: Writable[]) =>
      pipeline([file, watchedStream(pass), ...stages], signal ? { signal } : {}).catch(error => {
        throw signal?.aborted ? signal.reason : error;
      });
    if (isArchiveKind(kind)) await readArchive({ feed, kind, shown }, take, options);
    else
      await readCompressed(
        feed,
        DECOMPRESS[kind](),
        shown,
        kind === "plain" ? take : notPackedTwice(dump, take),
      );
  }
  await lines.end();
  return { bytes, sha256: hash?.digest("hex") ?? null, converted: lines.converted };
}

async function readCompressed(
  feed: (...stages: Writable[]) => Promise<void>,
  decompress: readonly Transform[],
  shown: string,
  take: TakePart,
): Promise<void> {
  try {
    await feed(...decompress, taking(take));
  } catch (error) {
    throw explainDecompression(error, shown);
  }
}

/** Compressed, there is SQL. An archive, which is compressed already, says so in its first bytes. */
function notPackedTwice({ kind, shown }: DumpBytes, take: TakePart): TakePart {
  let isFirst = true;
  return part => {
    if (isFirst && kindOfHead(part) !== "plain")
      throw refusePackedTwice(shown, kind === "zstd" ? "zstd" : "gzip");
    isFirst = false;
    return take(part);
  };
}

function taking(take: TakePart): Writable {
  return new Writable({
    highWaterMark: PART_BYTES,
    write: (part: Buffer, _encoding, next) => {
      (async () => take(part))().then(() => next(), next);
    },
  });
}
