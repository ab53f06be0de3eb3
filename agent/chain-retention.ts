import type { BaseRecord } from "./base-record.ts";
import type { Verdict } from "./retention.ts";
import type { ChainContent } from "./wal-chain.ts";
import { parseLsn, segmentAt } from "./wal-segment.ts";

const DAY_MS = 24 * 3_600_000;
const TOLERANCE_MS = 60_000;

/** A chain, and what of it lacks its copy elsewhere. */
export interface KeptChain {
  content: ChainContent;
  /** Until when its WAL is known to reach, in milliseconds since 1970; null when nothing is known. */
  reaches: number | null;
  /** Base backups and segments that are to be in a bucket and are not; none where nothing is sent. */
  unsentBases: ReadonlySet<string>;
  firstUnsentSegment: string | null;
}

/** What goes: base backups, and of each chain the segments before `keepFrom`; all of them where that is null. */
export interface ChainVerdict {
  chain: string;
  bases: { name: string; keep: boolean; reason: string }[];
  keepFrom: string | null;
  /** The whole folder goes: nothing in it is needed. */
  whole: boolean;
}

/**
 * Says what of the chains is needed for going back to any moment of the newest `days` days, counted back from where the newest
 * chain reaches: while nothing is received, nothing becomes superfluous. To act on it destroys data, so:
 * - the newest base backup stays, and with it all its WAL;
 * - a base backup goes only when a newer one is older than those days, so that each of their moments has one before it;
 * - WAL goes only when no base backup that stays begins before it;
 * - what is not in the bucket yet stays where there is one; so does another database's chain, and all of it while the clock is
 *   behind what was received.
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
  const oldestNeeded =
    reaches === null || !hasNewest
      ? Number.NEGATIVE_INFINITY
      : (moments.findLast(at => at <= reaches - days * DAY_MS) ?? Number.NEGATIVE_INFINITY);
  return chains.map(chain => {
    const other = chain.content.chain.systemIdentifier !== newest?.content.chain.systemIdentifier;
    const leftAlone = clockIsWrong ? "the clock is, or was, wrong" : other ? "of another database" : null;
    return leftAlone === null
      ? decideChain(chain, oldestNeeded, chain === newest)
      : leaveAlone(chain.content, `${leftAlone}: left alone`);
  });
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

/** Without a base backup that stays, its WAL is of no use, and what is being received may be the next one's. */
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
