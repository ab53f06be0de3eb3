import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import type Docker from "dockerode";

export interface LogOptions {
  /** How many lines from the end. @default all */
  tail?: number;
  timestamps?: boolean;
}

/** `demuxStream` calls itself for each frame of a piece. */
const PIECE_BYTES = 4096;

/** What a container has written, standard output and standard error in the order in which they came. */
export async function containerLog(container: Docker.Container, options: LogOptions = {}): Promise<string> {
  const raw = await container.logs({ stdout: true, stderr: true, follow: false, ...options });
  const log = new PassThrough();
  const collected = text(log);
  const frames = Readable.from(piecesOf(raw));
  container.modem.demuxStream(frames, log, log);
  await finished(frames);
  log.end();
  return collected;
}

function* piecesOf(raw: Buffer): Generator<Buffer> {
  for (let at = 0; at < raw.length; at += PIECE_BYTES) yield raw.subarray(at, at + PIECE_BYTES);
}
