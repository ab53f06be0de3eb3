import type pg from "pg";
import { readEnding } from "./notes.ts";
import { missingSegment } from "./recoverable.ts";
import type { Chain, ChainContent } from "./wal-chain.ts";
import { cutSegments } from "./wal-mend.ts";
import { nextSegment, timelineOf } from "./wal-segment.ts";
import { serverHasSegment, type WalPosition } from "./wal-server.ts";

/**
 * Why a chain cannot be continued; null when it can. Asks the server whether it still has the next segment. It keeps that for as
 * long as the slot says, and no longer.
 */
export async function whyBroken(
  session: pg.Client,
  chain: Chain,
  content: ChainContent,
  position: WalPosition,
): Promise<string | null> {
  const ended = await readEnding(chain);
  if (ended !== null) return ended.why;
  const plain = whyUnfit(content, position);
  if (plain !== null) return plain;
  const [cut] = await cutSegments(chain, content, position.segmentBytes);
  if (cut)
    return `the segment ${cut} was cut short in the backup directory, and the server does not have it any more`;
  const next = nextWanted(content, position.segmentBytes);
  if (position.slot?.active || next === null || (await serverHasSegment(session, next))) return null;
  return `the server has removed WAL (${next}) that was not received yet`;
}

/** What can be told without asking for the server's files. */
export function whyUnfit(content: ChainContent, position: WalPosition): string | null {
  if (content.chain.systemIdentifier !== position.systemIdentifier) return "the database is another one";
  const newest = newestSegment(content);
  if (newest !== null && timelineOf(newest) !== position.timeline)
    return `the server went over to timeline ${position.timeline}`;
  if (content.mark !== null && position.lsn < content.mark.lsn)
    return "the database is at an earlier moment than the WAL that was received from it";
  const missing = missingSegment(content);
  return missing === null ? null : `the segment ${missing} is missing in the backup directory`;
}

/** The segment that a receiver asks for when it is started; null when it begins wherever the server is. */
export function nextWanted({ received, partial, sealed }: ChainContent, segmentBytes: number): string | null {
  if (partial !== null) return partial;
  const whole = received.at(-1) ?? sealed.at(-1)?.segment;
  return whole === undefined ? null : nextSegment(whole, segmentBytes);
}

function newestSegment({ received, partial, sealed }: ChainContent): string | null {
  return partial ?? received.at(-1) ?? sealed.at(-1)?.segment ?? null;
}
