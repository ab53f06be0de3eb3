import { createReadStream } from "node:fs";
import { type Readable, Writable } from "node:stream";
import { readArchive } from "./dump-archive.ts";
import type { DumpFingerprint } from "./dump-fingerprint.ts";
import { type DumpKind, isArchiveKind, kindOfFile } from "./dump-kind.ts";
import { readText } from "./dump-text.ts";
import type { Manifest } from "./manifest.ts";
import { readPlainDump } from "./plain-dump.ts";
import { refuse } from "./refuse.ts";
import type { Progress } from "./reporter.ts";

/** A dump that was read from its first byte to its last. */
export interface ReadDump {
  kind: DumpKind;
  /** Of the bytes that were read, compressed as they are. */
  bytes: number;
  sha256: string;
  /**
   * What names the content, however it is compressed: the sha256 of the SQL. An archive's own sha256, because the SQL
   * that pg_restore makes of it has another random \restrict token each time.
   */
  contentSha256: string;
  fingerprint: DumpFingerprint;
}

export interface DumpStream {
  source: Readable;
  kind: DumpKind;
  /** As messages name it. */
  shown: string;
}

/** Reads a whole dump of any kind and keeps only what there is to know about it. Throws a Stop for what cannot be read as one. */
export async function inspectDump(path: string, shown: string, progress: Progress): Promise<ReadDump> {
  const kind = await kindOfFile(path, shown);
  if (kind === "plain") return readPlainDump(path, progress);
  return inspectStream({ source: createReadStream(path, { highWaterMark: 1 << 20 }), kind, shown }, progress);
}

/** The same for a dump that comes from elsewhere. What `source` fails with is passed on. */
export function inspectStream(stream: DumpStream, progress: Progress): Promise<ReadDump> {
  const { kind } = stream;
  if (isArchiveKind(kind)) return readArchive({ ...stream, kind }, progress);
  return readText(
    { ...stream, kind },
    new Writable({ write: (_chunk, _encoding, next) => next() }),
    progress,
  );
}

/** Throws a Stop unless the dump is whole, and is the one that its manifest (if it has one) describes. */
export function requireWhole(dump: ReadDump, shown: string, manifest: Manifest | null): void {
  const { fingerprint } = dump;
  if (!fingerprint.hasHeader) throw refuse(`${shown} is not a pg_dump file`);
  if (!fingerprint.complete) throw refuse(`${shown} is cut off: pg_dump's completion line is missing`);
  if (fingerprint.escape) {
    throw refuse(
      `${shown} would leave the database it is loaded into (${fingerprint.escape}); it was made with pg_dump --create`,
    );
  }
  if (!manifest) return;
  if (dump.contentSha256 !== manifest.contentSha256) {
    throw refuse(
      `${shown} is corrupt: its bytes are not those that its manifest recorded (sha256 ${manifest.contentSha256.slice(0, 12)}…)`,
    );
  }
}
