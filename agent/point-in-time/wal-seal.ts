import { readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, gunzip, gzip } from "node:zlib";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { openPartial, requireSpace } from "../base/durable-file.ts";
import { sha256Of } from "../base/hashing.ts";
import {
  type Chain,
  type ChainContent,
  type Mark,
  receivingFolder,
  startOfChain,
  walFolder,
} from "./wal-chain.ts";
import { endOfSegment, sealedName } from "./wal-segment.ts";

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/**
 * Compresses the segments that are whole. A received segment is removed once its compressed copy is on disk and was read back; a
 * kill in between leaves both. The newest is never removed: from it pg_receivewal knows where to go on.
 *
 * @param marks the newest mark before a segment's end says until when the segment covers
 */
export async function sealSegments(
  settings: AgentSettings,
  chain: Chain,
  content: ChainContent,
  marks: readonly Mark[],
  segmentBytes: number,
): Promise<void> {
  const sealed = new Set(content.sealed.map(({ segment }) => segment));
  // What was committed before the chain began is in its base backups.
  let covered = content.sealed.at(-1)?.coversUntil ?? startOfChain(content.chain.name);
  for (const segment of content.received) {
    const path = join(receivingFolder(chain), segment);
    if (!sealed.has(segment)) {
      const end = endOfSegment(segment, segmentBytes);
      covered = Math.max(covered, marks.findLast(({ lsn }) => lsn <= end)?.at ?? covered);
      if ((await stat(path)).size !== segmentBytes) throw new Error(`${segment} does not have its size`);
      await seal(settings, chain, path, segment, covered);
    }
    const newest = segment === content.received.at(-1) && content.partial === null;
    if (!newest) await unlink(path);
  }
}

async function seal(
  settings: AgentSettings,
  chain: Chain,
  path: string,
  segment: string,
  coversUntil: number,
): Promise<void> {
  const raw = await readFile(path);
  const packed = await compress(raw, { level: constants.Z_BEST_SPEED });
  await requireSpace(settings.backupDir, settings.backupDirShown, packed.length);
  const partial = await openPartial(walFolder(chain), settings.stack, segment);
  try {
    await partial.handle.writeFile(packed);
    if (!(await decompress(await readFile(partial.path))).equals(raw))
      throw new Error(`the compressed ${segment} is not what was written`);
    // The name says what is in it, so it may take the place of a file of that name.
    await partial.replace(sealedName(segment, coversUntil, sha256Of(packed)));
  } catch (error) {
    await partial.discard();
    throw error;
  }
}
