import type { Readable } from "node:stream";

/** A piece of what a container wrote. */
export interface OutputPiece {
  from: "stdout" | "stderr";
  bytes: Buffer;
}

const HEADER_BYTES = 8;
const STDERR = 2;

/**
 * What an attached container without a terminal writes, piece by piece, and no faster than it is taken. The engine's client has the
 * same as `demuxStream`, which does not wait: a slow reader of gigabytes would have them all in this process's memory.
 */
export async function* attachedOutput(stream: Readable): AsyncGenerator<OutputPiece> {
  let waiting: Buffer = Buffer.alloc(0);
  let left = 0;
  let from: OutputPiece["from"] = "stdout";
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    for (;;) {
      if (left === 0) {
        if (waiting.length < HEADER_BYTES) break;
        from = waiting[0] === STDERR ? "stderr" : "stdout";
        left = waiting.readUInt32BE(4);
        waiting = waiting.subarray(HEADER_BYTES);
      }
      const bytes = waiting.subarray(0, left);
      if (bytes.length === 0) break;
      left -= bytes.length;
      waiting = waiting.subarray(bytes.length);
      yield { from, bytes };
    }
  }
}
