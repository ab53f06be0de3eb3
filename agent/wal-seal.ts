import { createHash } from "node:crypto";
import { readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, gunzip, gzip } from "node:zlib";
import { openPartial } from "./durable-file.ts";
import type { AgentSettings } from "./settings.ts";
import { type Chain, type ChainContent, type Mark, receivingFolder, walFolder } from "./wal-chain.ts";
import { endOfSegment, sealedName } from "./wal-segment.ts";

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/**
 * Compresses the segments that are whole. One is removed from where it was received once its compressed copy is on disk and was
 * read back, and never the newest: from that one pg_receivewal knows where to go on. Killed in between, it is there twice.
 *
 * @param marks of which the newest that lies before a segment's end says until when the segment covers
 */
export async function sealSegments(
  settings: AgentSettings,
  chain: Chain,
  content: ChainContent,
  marks: readonly Mark[],
  segmentBytes: number,
): Promise<void> {
  const sealed = new Set(content.sealed.map(({ segment }) => segment));
  let covered = content.sealed.at(-1)?.coversUntil ?? startOf(content);
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
  const partial = await openPartial(walFolder(chain), settings.stack, segment);
  try {
    await partial.handle.writeFile(packed);
    if (!(await decompress(await readFile(partial.path))).equals(raw))
      throw new Error(`the compressed ${segment} is not what was written`);
    const sha256 = createHash("sha256").update(packed).digest("hex");
    await partial.publish(sealedName(segment, coversUntil, sha256));
  } catch (error) {
    await partial.discard();
    throw error;
  }
}

/** What was committed before the chain began is in its base backups. */
function startOf({ chain }: ChainContent): number {
  return Date.parse(chain.name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, "$1-$2-$3T$4:$5:$6Z"));
}
