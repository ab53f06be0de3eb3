import { open, stat } from "node:fs/promises";
import { refuse } from "./refuse.ts";

/** What a dump's bytes are, by themselves and not by a file's name. */
export type DumpKind = TextKind | ArchiveKind;
/** SQL for psql, as it is or compressed. */
export type TextKind = "plain" | "gzip" | "zstd";
/** For pg_restore: the custom format, and the directory format in a tar file. */
export type ArchiveKind = "custom" | "tar";

/** As much of a file as tells its kind. */
const HEAD_BYTES = 512;

const MAGIC: readonly { kind: DumpKind; at: number; bytes: Buffer }[] = [
  { kind: "custom", at: 0, bytes: Buffer.from("PGDMP") },
  { kind: "gzip", at: 0, bytes: Buffer.from([0x1f, 0x8b]) },
  { kind: "zstd", at: 0, bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { kind: "tar", at: 257, bytes: Buffer.from("ustar") },
];

/** Throws a Stop for a file that is missing or empty. */
export async function kindOfFile(path: string, shown: string): Promise<DumpKind> {
  const { size } = await stat(path).catch(() => {
    throw refuse(`${shown} does not exist`);
  });
  if (size === 0) throw refuse(`${shown} is empty`);
  const handle = await open(path, "r");
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
    return kindOfHead(head.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** Plain is whatever is nothing else: whether it is a dump at all shows when it is read. */
export function kindOfHead(head: Buffer): DumpKind {
  const found = MAGIC.find(({ at, bytes }) => head.subarray(at, at + bytes.length).equals(bytes));
  return found?.kind ?? "plain";
}

export function isArchiveKind(kind: DumpKind): kind is ArchiveKind {
  return kind === "custom" || kind === "tar";
}
