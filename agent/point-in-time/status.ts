import { setTimeout as delay } from "node:timers/promises";
import { shownPlace } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { humanSize } from "../base/reporter.ts";
import { shownMoment } from "../base/shown-moment.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { ownMajorVersion } from "../server/own-version.ts";
import { damagedNames, soundPart } from "./at-rest.ts";
import type { BaseRecord } from "./base-record.ts";
import { readSent, unsentBases, unsentSegments } from "./chain-sent.ts";
import { judgePointInTimeDrill, type PointInTimeDrill, readPointInTimeDrill } from "./drill-record.ts";
import { judgeAtRest } from "./judge-at-rest.ts";
import { readLooks } from "./looks.ts";
import { type ChainEnding, readEnding, readNotes } from "./notes.ts";
import { ofOwnVersion } from "./other-version.ts";
import { joinRanges, type Recoverable, recoverables } from "./recoverable.ts";
import { type Chain, type ChainContent, listChains, type Mark, readChain } from "./wal-chain.ts";
import type { SealedSegment } from "./wal-segment.ts";
import { readWalPosition, type WalPosition } from "./wal-server.ts";

const DAY_MS = 24 * 3_600_000;
/** A base backup is taken every seven days. */
const BASE_LATE_MS = 8 * DAY_MS;
/** What the server may keep for a receiver before somebody should look. */
const LAGS_BYTES = 128 * 1024 * 1024;
const SENT_WITHIN_MS = 3_600_000;
const CAUGHT_UP_WITHIN_MS = 2000;

export interface PointInTimeStatus {
  /** The first and the last moment that can be gone back to, in ISO 8601; null when there is none. */
  earliest: string | null;
  latest: string | null;
  /** Moments between the two that cannot: the WAL of then is missing. */
  gaps: { from: string; until: string }[];
  /** Whether the WAL is being received at this moment. */
  receiving: boolean;
  /** What the server keeps because it was not received yet, in bytes; null when it does not say. */
  slotLagBytes: number | null;
  baseBackups: number;
  /** How much is to be in the bucket and is not known to be; null where nothing is sent. */
  unsent: { segments: number; baseBackups: number } | null;
  /** How many files are known to be damaged or missing, in its folder. */
  damaged: number;
  /** The newest drill: of a recovery to the state of a backup. */
  drill: PointInTimeDrill | null;
}

/**
 * To which moments the database can be brought back. Adds to `problems` what is not as it should be, and to `notes` what is to be
 * known. Null where it is switched off.
 */
export async function readPointInTimeStatus(
  settings: AgentSettings,
  problems: string[],
  notes: string[],
  now: Date,
): Promise<PointInTimeStatus | null> {
  if (!settings.pointInTime) return null;
  const chains = await listChains(settings);
  const seen = await readLive(settings, chains).catch((error: Error) => {
    problems.push(`Whether WAL is received is not known: ${error.message}`);
    return null;
  });
  const contents = seen?.contents ?? (await Promise.all(chains.map(readChain)));
  const looks = await readLooks(settings);
  const sound = contents.map(content => soundPart(content, looks));
  const recorded = ofOwnVersion(recoverables(sound), await ownMajorVersion());
  const all = recorded.own;
  const ranges = joinRanges(all);
  const gaps = ranges
    .slice(1)
    .map(({ from }, index) => ({ from: ranges[index]?.until ?? from, until: from }));
  const ending = await lastEnding(chains);
  const unsent = settings.offsite && (await listUnsent(chains, sound, shownPlace(settings.offsite)));
  const atRest = judgeAtRest(contents, looks, {
    folder: `${settings.backupDirShown}/point-in-time/${settings.stack}`,
    bucket: settings.offsite !== null,
    now,
  });
  const drill = await readPointInTimeDrill(settings);
  const proof = judgePointInTimeDrill(drill, ranges[0]?.from ?? null, now);
  notes.push(...recorded.notes, ...atRest.notes, ...proof.notes);
  problems.push(
    ...atRest.problems,
    ...proof.problems,
    ...judgeReceiving(seen?.position ?? null),
    ...judgeBases(all, sound.at(-1) ?? null, ending, now),
    ...judgeGaps(gaps, ending, now),
    ...judgeSending(unsent, now),
    ...Object.values(await readNotes(settings)).flatMap(note =>
      note === null ? [] : [`Point in time: ${note}`],
    ),
  );
  const slot = seen?.position.slot ?? null;
  return {
    earliest: iso(ranges[0]?.from),
    latest: iso(ranges.at(-1)?.until),
    gaps: gaps.map(({ from, until }) => ({
      from: new Date(from).toISOString(),
      until: new Date(until).toISOString(),
    })),
    receiving: slot?.active ?? false,
    slotLagBytes: slot?.lagBytes ?? null,
    baseBackups: sound.reduce((sum, { bases }) => sum + bases.length, 0),
    unsent: unsent && { segments: unsent.segments.length, baseBackups: unsent.bases.length },
    damaged: damagedNames(looks).length,
    drill,
  };
}

interface Unsent {
  segments: SealedSegment[];
  bases: BaseRecord[];
}

async function listUnsent(
  chains: readonly Chain[],
  contents: readonly ChainContent[],
  store: string,
): Promise<Unsent> {
  const unsent: Unsent = { segments: [], bases: [] };
  for (const [index, content] of contents.entries()) {
    const chain = chains[index];
    if (!chain) continue;
    const known = await readSent(chain, store);
    unsent.segments.push(...unsentSegments(content, known));
    unsent.bases.push(...unsentBases(content, known));
  }
  return unsent;
}

/** The agent notes a try that failed. This finds an agent that does not try. */
export function judgeSending(unsent: Unsent | null, now: Date): string[] {
  const late = (at: number) => now.getTime() - at > SENT_WITHIN_MS;
  const [segment] = unsent?.segments ?? [];
  const [base] = unsent?.bases ?? [];
  const look = "See what the agent says: npx budgie logs backup";
  if (base && late(Date.parse(base.consistentAt)))
    return [`The base backup ${base.name} is not in the bucket after more than an hour. ${look}`];
  if (segment && late(segment.coversUntil))
    return [`WAL from ${shownMoment(segment.coversUntil)} on is not in the bucket yet. ${look}`];
  return [];
}

/** What every chain holds. For the chain that is being written, it waits a moment for the receiver to catch up with the server. */
export async function readLive(
  settings: AgentSettings,
  chains: readonly Chain[],
): Promise<{ position: WalPosition; contents: ChainContent[] }> {
  const session = await connectToMaintenance(settings, "budgie point in time");
  try {
    const position = await readWalPosition(session);
    const mark = await caughtUp(position, () => readWalPosition(session));
    const contents = await Promise.all(chains.map(readChain));
    const newest = contents.at(-1);
    if (newest && mark && newest.chain.systemIdentifier === position.systemIdentifier) newest.mark = mark;
    return { position, contents };
  } finally {
    await session.end();
  }
}

/** The asked position as a mark, once the receiver has reached it. Null when it has not within two seconds. */
async function caughtUp(asked: WalPosition, askAgain: () => Promise<WalPosition>): Promise<Mark | null> {
  const giveUpAt = Date.now() + CAUGHT_UP_WITHIN_MS;
  for (let answer = asked; ; answer = await askAgain()) {
    const flushed = answer.slot?.flushLsn;
    if (flushed === undefined || flushed === null || Date.now() > giveUpAt) return null;
    if (flushed >= asked.lsn) return { at: asked.at, lsn: asked.lsn };
    await delay(50);
  }
}

async function lastEnding(chains: readonly Chain[]): Promise<ChainEnding | null> {
  for (const chain of [...chains].reverse()) {
    const ending = await readEnding(chain);
    if (ending !== null) return ending;
  }
  return null;
}

export function judgeReceiving(position: WalPosition | null): string[] {
  if (position === null) return [];
  const { slot } = position;
  const look = "See what the agent says: npx budgie logs backup";
  if (slot === null) return [`WAL is not received: the server has no replication slot for it. ${look}`];
  if (slot.walStatus === "lost")
    return [`The server has removed WAL that was not received: moments are missing from now on. ${look}`];
  if (!slot.active)
    return [`WAL is not received at the moment; the server keeps it meanwhile${left(slot)}. ${look}`];
  if ((slot.lagBytes ?? 0) > LAGS_BYTES)
    return [
      `The receiver of WAL is ${humanSize(slot.lagBytes ?? 0)} behind the server${left(slot)}. ${look}`,
    ];
  return [];
}

function left({ safeBytes }: NonNullable<WalPosition["slot"]>): string {
  return safeBytes === null ? "" : `, for ${humanSize(Math.max(0, safeBytes))} more`;
}

export function judgeBases(
  all: readonly Recoverable[],
  newest: ChainContent | null,
  ending: ChainEnding | null,
  now: Date,
): string[] {
  const inNewest = all.filter(({ chain }) => chain === newest);
  if (inNewest.length === 0) {
    const because = ending ? `: ${ending.why}` : "";
    return [
      `No moment from now on can be gone back to yet${because}. A base backup is taken by itself; until then: npx budgie backup`,
    ];
  }
  const at = inNewest.at(-1)?.from ?? 0;
  return now.getTime() - at <= BASE_LATE_MS
    ? []
    : [
        `The newest base backup is ${Math.floor((now.getTime() - at) / DAY_MS)} days old. See what the agent says: npx budgie logs backup`,
      ];
}

/** Nothing brings back the moments of a gap. So it is a problem for a day, in which somebody should see it, and then a note. */
export function judgeGaps(
  gaps: readonly { from: number; until: number }[],
  ending: ChainEnding | null,
  now: Date,
): string[] {
  return gaps
    .filter(({ until }) => now.getTime() - until < DAY_MS)
    .map(
      gap =>
        `${describeGap(gap)}${ending ? `: ${ending.why}` : ""}. What comes after can be gone back to again`,
    );
}

export function pointInTimeWarnings(status: PointInTimeStatus | null, now: Date): string[] {
  return (status?.gaps ?? [])
    .map(({ from, until }) => ({ from: Date.parse(from), until: Date.parse(until) }))
    .filter(({ until }) => now.getTime() - until >= DAY_MS)
    .map(gap => `${describeGap(gap)}.`);
}

function describeGap({ from, until }: { from: number; until: number }): string {
  return `No moment between ${shownMoment(from)} and ${shownMoment(until)} can be gone back to`;
}

function iso(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString();
}
