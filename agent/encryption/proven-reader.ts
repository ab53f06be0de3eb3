import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { refuse } from "../base/refuse.ts";

/** A file, and what was recorded about it. */
export interface LocalFile {
  path: string;
  /** As the operator knows it. */
  shown: string;
  bytes: number;
  sha256: string;
}

export interface ProvenReader {
  /** With the size of what it reads out. */
  file: LocalFile;
  /** Fills `buffer` with the next piece, 1 being the first; null after the last. Calls may overlap: each waits its turn. */
  next(buffer: Buffer): Promise<{ number: number; bytes: Buffer } | null>;
  close(): Promise<void>;
}

/**
 * Reads a file piece by piece and hashes it on the way. Whoever got the last piece has read exactly the recorded bytes: for any
 * other file, `next` throws a Stop instead of handing out the last piece.
 */
export async function openProven(file: LocalFile): Promise<ProvenReader> {
  const handle = await open(file.path, "r").catch((error: Error) => {
    throw refuse(`${file.shown} cannot be read: ${error.message}`);
  });
  const hash = createHash("sha256");
  let [at, number] = [0, 0];
  const next = async (buffer: Buffer) => {
    if (at === file.bytes) return null;
    const wanted = Math.min(buffer.length, file.bytes - at);
    for (let got = 0; got < wanted; ) {
      const { bytesRead } = await handle.read(buffer, got, wanted - got, at + got);
      if (bytesRead === 0) throw corrupt(file);
      got += bytesRead;
    }
    const bytes = buffer.subarray(0, wanted);
    hash.update(bytes);
    at += wanted;
    if (at === file.bytes && hash.digest("hex") !== file.sha256) throw corrupt(file);
    return { number: ++number, bytes };
  };
  return { file, next: inTurn(next), close: () => handle.close() };
}

/** Calls that overlap wait for those before them. */
export function inTurn(next: ProvenReader["next"]): ProvenReader["next"] {
  let before: Promise<unknown> = Promise.resolve();
  return buffer => {
    const mine = before.then(() => next(buffer));
    before = mine.catch(() => undefined);
    return mine;
  };
}

function corrupt({ shown, sha256 }: LocalFile) {
  return refuse(
    `${shown} is corrupt: its bytes are not those that its manifest recorded (sha256 ${sha256.slice(0, 12)}…)`,
    "It is not sent. Use another backup: `npx budgie list` shows them.",
  );
}
