import type { BaseRecord } from "./base-record.ts";
import type { ChainContent } from "./wal-chain.ts";
import { endOfSegment, nextSegment, parseLsn, segmentAt, startOfSegment } from "./wal-segment.ts";

/** A base backup, and the moments to which its WAL leads: all from `from` to `until`, in milliseconds since 1970. */
export interface Recoverable {
  chain: ChainContent;
  base: BaseRecord;
  from: number;
  until: number;
  /** The segments that a recovery from it replays, in order, without a gap. */
  segments: string[];
}

/** The ranges of all base backups that can be used, oldest first. */
export function recoverables(chains: readonly ChainContent[]): Recoverable[] {
  return chains.flatMap(recoverablesOf).sort((a, b) => a.from - b.from);
}

/** From the newest base backup to the oldest, so that the WAL behind each is walked once. */
function recoverablesOf(chain: ChainContent): Recoverable[] {
  const whole = new Map([
    ...chain.received.map(segment => [segment, Number.NEGATIVE_INFINITY] as const),
    ...chain.sealed.map(({ segment, coversUntil }) => [segment, coversUntil] as const),
  ]);
  const walked = new Map<string, Run>();
  return chain.bases
    .toReversed()
    .map(base => recoverableFrom(chain, base, whole, walked))
    .filter(recoverable => recoverable !== null)
    .reverse();
}

/** Whole segments that follow each other. */
interface Run {
  segments: string[];
  /** Every transaction committed by then is in them. Milliseconds since 1970. */
  coversUntil: number;
}

/** Null while the WAL that the base backup itself needs is not complete. */
function recoverableFrom(
  chain: ChainContent,
  base: BaseRecord,
  whole: ReadonlyMap<string, number>,
  walked: Map<string, Run>,
): Recoverable | null {
  const { segmentBytes, timeline } = base;
  const first = segmentAt(timeline, parseLsn(base.startLsn), segmentBytes);
  const run = runFrom(first, segmentBytes, whole, walked);
  walked.set(first, run);
  const last = run.segments.at(-1);
  const next = last === undefined ? first : nextSegment(last, segmentBytes);
  const isReceiving = chain.partial === next;
  const end = isReceiving ? endOfSegment(next, segmentBytes) : startOfSegment(next, segmentBytes);
  const { mark } = chain;
  const until = mark && mark.lsn <= end ? Math.max(run.coversUntil, mark.at) : run.coversUntil;
  const from = Date.parse(base.consistentAt);
  const stop = parseLsn(base.stopLsn);
  if (end < stop || until < from) return null;
  return { chain, base, from, until, segments: isReceiving ? [...run.segments, next] : run.segments };
}

/** Goes on with what was walked before, where it gets there. */
function runFrom(
  first: string,
  segmentBytes: number,
  whole: ReadonlyMap<string, number>,
  walked: ReadonlyMap<string, Run>,
): Run {
  const segments: string[] = [];
  let coversUntil = Number.NEGATIVE_INFINITY;
  for (let next = first; ; next = nextSegment(next, segmentBytes)) {
    const behind = walked.get(next);
    if (behind)
      return {
        segments: segments.concat(behind.segments),
        coversUntil: Math.max(coversUntil, behind.coversUntil),
      };
    const covered = whole.get(next);
    if (covered === undefined) return { segments, coversUntil };
    segments.push(next);
    coversUntil = Math.max(coversUntil, covered);
  }
}

/** Joins ranges that overlap or touch. Oldest first. */
export function joinRanges(
  ranges: readonly { from: number; until: number }[],
): { from: number; until: number }[] {
  const joined: { from: number; until: number }[] = [];
  for (const { from, until } of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && from <= last.until) last.until = Math.max(last.until, until);
    else joined.push({ from, until });
  }
  return joined;
}

interface Position {
  timeline: number;
  lsn: string;
}

/** Whether a position in the WAL comes after a base backup. */
export function followsBase(base: BaseRecord, { timeline, lsn }: Position): boolean {
  return base.timeline === timeline && parseLsn(lsn) >= parseLsn(base.stopLsn);
}

/** Whether a recovery from it can end at a position in the WAL: all before that is here. */
export function leadsToPosition({ base, chain, segments }: Recoverable, position: Position): boolean {
  const last = segments.at(-1);
  if (last === undefined || !followsBase(base, position)) return false;
  // Of the segment that is being received, only what lies before the mark.
  const until =
    chain.partial === last
      ? maxOf(startOfSegment(last, base.segmentBytes), chain.mark?.lsn ?? 0n)
      : endOfSegment(last, base.segmentBytes);
  return parseLsn(position.lsn) <= until;
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The base backup to start from: the newest that leads to `at`, because it has the least to replay. */
export function pickBase(all: readonly Recoverable[], at: number): Recoverable | null {
  return all.findLast(({ from, until }) => from <= at && at <= until) ?? null;
}

/** The first segment that is missing between the newest base backup and what is being received; null when none is. */
export function missingSegment({ bases, sealed, received, partial }: ChainContent): string | null {
  const base = bases.at(-1);
  if (!base) return null;
  const there = new Set([
    ...sealed.map(({ segment }) => segment),
    ...received,
    ...(partial ? [partial] : []),
  ]);
  const newest = [...there].sort().at(-1);
  if (newest === undefined) return null;
  const first = segmentAt(base.timeline, parseLsn(base.startLsn), base.segmentBytes);
  for (let next = first; next <= newest; next = nextSegment(next, base.segmentBytes))
    if (!there.has(next)) return next;
  return null;
}
