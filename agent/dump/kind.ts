import { stat } from "node:fs/promises";
import { refuse } from "../base/refuse.ts";
import { headOf, refusalOf, refuseTerminals, wentThroughTerminal } from "./file-shapes.ts";

/** What a dump's bytes are, by themselves and not by a file's name. */
export type DumpKind = TextKind | ArchiveKind;
/** SQL for psql, as it is or compressed. */
export type TextKind = "plain" | "gzip" | "zstd";
/** For pg_restore: the custom format, and the directory format in a tar file. */
export type ArchiveKind = "custom" | "tar";

const MAGIC: readonly { kind: DumpKind; at: number; bytes: Buffer }[] = [
  { kind: "custom", at: 0, bytes: Buffer.from("PGDMP") },
  { kind: "gzip", at: 0, bytes: Buffer.from([0x1f, 0x8b]) },
  { kind: "zstd", at: 0, bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { kind: "tar", at: 257, bytes: Buffer.from("ustar") },
];

/** Throws a Stop for a file that is missing or empty, or is packed in a way that only the operator can undo. */
export async function kindOfFile(path: string, shown: string): Promise<DumpKind> {
  const { size } = await stat(path).catch(() => {
    throw refuse(`${shown} does not exist`);
  });
  if (size === 0) throw refuse(`${shown} is empty`);
  const head = await headOf(path);
  const refusal = refusalOf(head, shown);
  if (refusal) throw refusal;
  const kind = kindOfHead(head);
  if (kind === "custom" && (await wentThroughTerminal(path))) throw refuseTerminals(shown);
  return kind;
}

/** What is nothing else is plain. Whether it is a dump at all shows when it is read. */
export function kindOfHead(head: Buffer): DumpKind {
  const found = MAGIC.find(({ at, bytes }) => head.subarray(at, at + bytes.length).equals(bytes));
  return found?.kind ?? "plain";
}

export function isArchiveKind(kind: DumpKind): kind is ArchiveKind {
  return kind === "custom" || kind === "tar";
}
