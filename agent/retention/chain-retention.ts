import { dayOf } from "../manifest/backup-time.ts";
import type { BaseRecord } from "../point-in-time/base-record.ts";
import type { ChainContent } from "../point-in-time/wal-chain.ts";
import { parseLsn, segmentAt } from "../point-in-time/wal-segment.ts";
import type { Verdict } from "./retention.ts";

const DAY_MS = 24 * 3_600_000;
const TOLERANCE_MS = 60_000;
/** A base backup comes every week. So a longer silence is a machine that was off, or a clock that was set: it is no time that has passed. */
const LONGEST_SILENCE_MS = 8 * DAY_MS;

/** A chain, and which parts of it lack a copy elsewhere. */
export interface KeptChain {
  content: ChainContent;
  /** Until when its WAL is known to reach, in milliseconds since 1970; null when nothing is known. */
  reaches: number | null;
  /** Base backups and segments that are to be in a bucket and are not; none where nothing is sent. */
  unsentBases: ReadonlySet<string>;
  firstUnsentSegment: string | null;
}

/** What stays of a chain and what goes. The segments before `keepFrom` go; all of them where it is null. */
export interface ChainVerdict {
  chain: string;
  bases: { name: string; keep: boolean; reason: string }[];
  keepFrom: string | null;
  /** The whole folder goes: nothing in it is needed. */
  whole: boolean;
}

/**
 * Says which parts of the chains are needed to go back to any moment of the newest `days` days. The days are counted back over what
 * was received, so nothing becomes superfluous while nothing is received. To act on it destroys data, so:
 * - the newest base backup stays, and with it all its WAL;
 * - a base backup goes only when a newer one is older than those days, so that each of their moments has one before it;
 * - WAL goes only when no base backup that stays begins before it;
 * - where there is a bucket, what is not in it yet stays;
 * - another database's chain stays, and everything stays while the clock is behind what was received;
 * - a clock that is ahead makes nothing superfluous at its first day: see `daysBack`.
 *
 * @param chains oldest first
 */
export function decideChains(chains: readonly KeptChain[], days: number, now: Date): ChainVerdict[] {
  const newest = chains.at(-1);
  const reaches = newest?.reaches ?? null;
  const clockIsWrong = reaches !== null && reaches > now.getTime() + TOLERANCE_MS;
  const judged = chains.filter(
    ({ content }) => content.chain.systemIdentifier === newest?.content.chain.systemIdentifier,
  );
  const moments = judged.flatMap(({ content }) => content.bases.map(consistentAt)).sort((a, b) => a - b);
  const hasNewest = (newest?.content.bases.length ?? 0) > 0;
  const since = reaches === null || !hasNewest ? null : daysBack(judged.flatMap(momentsOf), reaches, days);
  const oldestNeeded =
    (since === null ? undefined : moments.findLast(at => at <= since)) ?? Number.NEGATIVE_INFINITY;
  return chains.map(chain => {
    const other = chain.content.chain.systemIdentifier !== newest?.content.chain.systemIdentifier;
    const leftAlone = clockIsWrong ? "the clock is, or was, wrong" : other ? "of another database" : null;
    return leftAlone === null
      ? decideChain(chain, oldestNeeded, chain === newest)
      : leaveAlone(chain.content, `${leftAlone}: left alone`);
  });
}

/**
 * The beginning of the newest `days` days, counted over the moments at which something is known to have been received; null while that
 * is not long enough. The day on which the newest of them falls counts for nothing until there is a later one: it may be of a wrong
 * clock that is right again at its next look. And time that nothing was received in, such as the years that a wrong clock is ahead, does
 * not count as passed.
 */
export function daysBack(received: readonly number[], reaches: number, days: number): number | null {
  const known = received.filter(at => dayOf(at) < dayOf(reaches)).sort((a, b) => b - a);
  let left = days * DAY_MS;
  for (const [index, at] of known.entries()) {
    const silence = at - (known[index + 1] ?? Number.NEGATIVE_INFINITY);
    if (silence > LONGEST_SILENCE_MS) continue;
    if (silence >= left) return at - left;
    left -= silence;
  }
  return null;
}

function momentsOf({ content: { bases, sealed }, reaches }: KeptChain): number[] {
  return [
    ...bases.map(consistentAt),
    ...sealed.map(({ coversUntil }) => coversUntil),
    ...(reaches === null ? [] : [reaches]),
  ];
}

function leaveAlone({ chain, bases, sealed }: ChainContent, reason: string): ChainVerdict {
  return {
    chain: chain.name,
    bases: bases.map(({ name }) => ({ name, keep: true, reason })),
    keepFrom: sealed[0]?.segment ?? "",
    whole: false,
  };
}

function decideChain(
  { content, unsentBases, firstUnsentSegment }: KeptChain,
  oldestNeeded: number,
  isNewest: boolean,
): ChainVerdict {
  const bases = content.bases.map(base => {
    const why = [
      ...(consistentAt(base) >= oldestNeeded ? ["leads to moments that are kept"] : []),
      ...(unsentBases.has(base.name) ? ["not in the bucket yet"] : []),
    ];
    return {
      name: base.name,
      keep: why.length > 0,
      reason: why.join("; ") || "a newer one leads to all that is kept",
    };
  });
  const firstKept = content.bases.find((_, index) => bases[index]?.keep);
  const whole =
    !isNewest && !firstKept && firstUnsentSegment === null && oldestNeeded !== Number.NEGATIVE_INFINITY;
  return {
    chain: content.chain.name,
    bases,
    keepFrom: keepFrom(content, firstKept, firstUnsentSegment, whole),
    whole,
  };
}

/** Without a base backup that stays, the WAL is of no use yet, but the next base backup may need what is being received. */
function keepFrom(
  { sealed }: ChainContent,
  firstKept: BaseRecord | undefined,
  firstUnsent: string | null,
  whole: boolean,
): string | null {
  if (whole) return null;
  const first = firstKept
    ? segmentAt(firstKept.timeline, parseLsn(firstKept.startLsn), firstKept.segmentBytes)
    : (sealed[0]?.segment ?? "");
  return firstUnsent !== null && firstUnsent < first ? firstUnsent : first;
}

function consistentAt(base: BaseRecord): number {
  return Date.parse(base.consistentAt);
}

/** For the list that `prune` prints: a line for each base backup, and one for the WAL that goes. */
export function asVerdicts(verdicts: readonly ChainVerdict[], chains: readonly KeptChain[]): Verdict[] {
  return verdicts.flatMap(({ chain, bases, keepFrom, whole }, index) => {
    const sealed = chains[index]?.content.sealed ?? [];
    const going = sealed.filter(({ segment }) => keepFrom === null || segment < keepFrom).length;
    const folder = `point-in-time/${chain}`;
    const wal =
      going > 0 || whole
        ? [{ name: `${folder}/wal`, keep: false, reason: `${going} segments that no base backup needs` }]
        : [];
    return [
      ...bases.map(({ name, keep, reason }) => ({ name: `${folder}/base/${name}.tar.gz`, keep, reason })),
      ...wal,
    ];
  });
}
