import { open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { replaceFile } from "../base/durable-file.ts";
import { type Chain, type ChainContent, namesIn, receivingFolder } from "./wal-chain.ts";
import { startOfSegment, timelineOf } from "./wal-segment.ts";

const PARTIAL = /^[0-9A-F]{24}\.partial$/;
/** What the server answers a role that may not read its files, and to whom asks for more at once than it can give. */
const NOT_TO_BE_READ = ["42501", "22023"];

/**
 * Gives the segment that is being received its full size. pg_receivewal takes one of no bytes or of a segment's, and refuses every
 * other for ever. One is left when a full disk or a kill ended it while it filled the file with zeros, so zeros are what is missing.
 * It then asks the server for the segment from its first byte, which the slot has kept. Nothing that was received is removed here:
 * if the server is gone for good, it counts.
 */
export async function padPartials(chain: Chain, segmentBytes: number): Promise<void> {
  const folder = receivingFolder(chain);
  for (const name of (await namesIn(folder)).filter(name => PARTIAL.test(name))) {
    const path = join(folder, name);
    const { size } = await stat(path);
    if (size > segmentBytes) await truncate(path, segmentBytes);
    if (size > 0 && size < segmentBytes) await append(path, Buffer.alloc(segmentBytes - size));
  }
}

/** Some file systems make no file longer but by writing. */
async function append(path: string, zeros: Buffer): Promise<void> {
  const file = await open(path, "a");
  try {
    await file.writeFile(zeros);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Received segments that are neither compressed yet nor of their size. pg_receivewal gives no file its name before it is whole. */
export async function cutSegments(
  chain: Chain,
  { received, sealed }: ChainContent,
  segmentBytes: number,
): Promise<string[]> {
  const kept = new Set(sealed.map(({ segment }) => segment));
  const open = received.filter(segment => !kept.has(segment));
  const sizes = await Promise.all(open.map(segment => stat(join(receivingFolder(chain), segment))));
  return open.filter((_, index) => sizes[index]?.size !== segmentBytes);
}

/** Replaces segments that were cut short by the server's own, where it still has them. */
export async function mendCutSegments(
  session: pg.Client,
  chain: Chain,
  content: ChainContent,
  segmentBytes: number,
): Promise<void> {
  for (const segment of await cutSegments(chain, content, segmentBytes)) {
    const bytes = await readFromServer(session, segment, segmentBytes);
    if (bytes && isSegmentOf(chain, segment, segmentBytes, bytes))
      await replaceFile(join(receivingFolder(chain), segment), bytes);
  }
}

/** Null where the server has it no more. It still had its name after it was read, so it was not used again meanwhile. */
async function readFromServer(
  session: pg.Client,
  segment: string,
  segmentBytes: number,
): Promise<Buffer | null> {
  try {
    const { rows } = await session.query<{ bytes: Buffer | null }>(
      "SELECT pg_read_binary_file('pg_wal/' || $1, 0, $2, true) AS bytes",
      [segment, segmentBytes],
    );
    const { rowCount } = await session.query("SELECT FROM pg_ls_waldir() WHERE name = $1", [segment]);
    return rowCount === 1 ? (rows[0]?.bytes ?? null) : null;
  } catch (error) {
    if (NOT_TO_BE_READ.includes((error as { code?: string }).code ?? "")) return null;
    throw error;
  }
}

/** By the header of its first page: the timeline, the position, and PostgreSQL's identity of the cluster. */
export function isSegmentOf(
  { systemIdentifier }: Pick<Chain, "systemIdentifier">,
  segment: string,
  segmentBytes: number,
  bytes: Buffer,
): boolean {
  return (
    bytes.length === segmentBytes &&
    bytes.readUInt32LE(4) === timelineOf(segment) &&
    bytes.readBigUInt64LE(8) === startOfSegment(segment, segmentBytes) &&
    bytes.readBigUInt64LE(24) === BigInt(systemIdentifier)
  );
}
