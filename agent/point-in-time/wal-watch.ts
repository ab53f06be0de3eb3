import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { nextWanted, whyBroken } from "./chain-broken.ts";
import { readEnding, saveEnding } from "./notes.ts";
import {
  type Chain,
  type ChainContent,
  createChain,
  listChains,
  type Mark,
  makeChainFolders,
  readChain,
  saveMark,
} from "./wal-chain.ts";
import { mendCutSegments } from "./wal-mend.ts";
import { startWalReceiver, type WalReceiver } from "./wal-receiver.ts";
import { sealSegments } from "./wal-seal.ts";
import { dropSlot, readWalPosition, type WalPosition } from "./wal-server.ts";

/** While something is written, a segment ends at least this often, so that the bucket is never further behind. */
export const SWITCH_EVERY_MS = 5 * 60_000;
const LOOK_TWICE_MS = 250;
const SAVE_MARK_EVERY_MS = 15_000;
/** Beyond that, every second mark is dropped: it only costs precision. */
const MOST_MARKS = 1000;

/** The chain that is being written, and what is known of it apart from its files. */
export interface Watched {
  chain: Chain | null;
  receiver: WalReceiver | null;
  /** Oldest first. */
  marks: Mark[];
  savedMarkAt: number;
  switched: { at: number; snapshot: string | null };
  /** A receiver is connected, so the server keeps what is not received yet. */
  receiving: boolean;
}

export function nothingWatched(): Watched {
  return {
    chain: null,
    receiver: null,
    marks: [],
    savedMarkAt: 0,
    switched: { at: Date.now(), snapshot: null },
    receiving: false,
  };
}

/**
 * One look at the server and at what was received from it. Begins a new chain where the old one cannot be continued, starts the
 * receiver, notes until when everything is here, and compresses what is whole. Throws for what it could not do; the next look
 * tries again.
 */
export async function watchWal(
  settings: AgentSettings,
  session: pg.Client,
  watched: Watched,
  report: Reporter,
): Promise<void> {
  const position = await readWalPosition(session);
  const chain = await chainToWrite(settings, session, watched, position, report);
  const content = await readChain(chain);
  watched.receiving = position.slot?.active ?? false;
  if (watched.receiver === null) {
    await makeChainFolders(settings, chain);
    watched.receiver = startWalReceiver(settings, chain, position.segmentBytes);
  }
  await takeMark(chain, watched, position);
  await sealSegments(settings, chain, content, watched.marks, position.segmentBytes);
  await switchWhenDue(settings, session, watched, position);
}

async function chainToWrite(
  settings: AgentSettings,
  session: pg.Client,
  watched: Watched,
  position: WalPosition,
  report: Reporter,
): Promise<Chain> {
  const old = watched.chain ?? (await listChains(settings)).at(-1) ?? null;
  if (old && (await readEnding(old)) === null)
    await mendCutSegments(session, old, await readChain(old), position.segmentBytes);
  const why = old && (await whyStillBroken(session, old, position));
  if (old && why === null) {
    watched.chain = old;
    await reviveSlot(session, position, await readChain(old));
    return old;
  }
  await watched.receiver?.stop();
  watched.receiver = null;
  watched.chain = null;
  if (old && why !== null) {
    await saveEnding(old, why);
    report.warn(`Point in time: ${why}. A new base backup begins a new chain`);
  }
  await dropSlot(session);
  Object.assign(watched, nothingWatched());
  watched.chain = await createChain(settings, position.systemIdentifier);
  return watched.chain;
}

/** Looks twice for what is missing: a file that gets its name at this very moment may be in no listing. */
async function whyStillBroken(
  session: pg.Client,
  chain: Chain,
  position: WalPosition,
): Promise<string | null> {
  if ((await whyBroken(session, chain, await readChain(chain), position)) === null) return null;
  await delay(LOOK_TWICE_MS);
  return whyBroken(session, chain, await readChain(chain), position);
}

/** Drops a slot that the server gave up, even where its WAL is still there: the receiver makes a new one. */
async function reviveSlot(
  session: pg.Client,
  { slot, segmentBytes }: WalPosition,
  content: ChainContent,
): Promise<void> {
  if (slot?.walStatus === "lost" && !slot.active && nextWanted(content, segmentBytes) !== null)
    await dropSlot(session);
}

async function takeMark(chain: Chain, watched: Watched, { at, lsn, slot }: WalPosition): Promise<void> {
  const { marks } = watched;
  // While nothing is written, only the newest time counts.
  if (marks.at(-1)?.lsn === lsn) marks.pop();
  marks.push({ at, lsn });
  if (marks.length > MOST_MARKS) watched.marks = marks.filter((_, index) => index % 2 === 1);
  const { flushLsn } = slot ?? { flushLsn: null };
  const reached = flushLsn === null ? undefined : marks.findLast(mark => mark.lsn <= flushLsn);
  if (!reached || Date.now() - watched.savedMarkAt < SAVE_MARK_EVERY_MS) return;
  await saveMark(chain, reached);
  watched.savedMarkAt = Date.now();
}

/** Only where there is something to send, and somewhere to send it to. */
async function switchWhenDue(
  settings: AgentSettings,
  session: pg.Client,
  watched: Watched,
  { snapshot }: WalPosition,
): Promise<void> {
  const { switched } = watched;
  const now = Date.now();
  if (settings.offsite === null || !watched.receiving) return;
  if (snapshot === switched.snapshot || now - switched.at < SWITCH_EVERY_MS) return;
  await session.query("SELECT pg_switch_wal()");
  watched.switched = { at: now, snapshot };
}
