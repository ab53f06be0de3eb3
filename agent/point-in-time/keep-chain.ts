import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { withContainerLock } from "../base/container-lock.ts";
import { inLogRun } from "../base/log-run.ts";
import type { Reporter } from "../base/reporter.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { endReplicationClientsIn } from "../server/replication-client.ts";
import { type Looks, soundPart } from "./at-rest.ts";
import { takeBaseBackup } from "./base-backup.ts";
import { removeChainLeftovers } from "./chain-leftovers.ts";
import { sendChains } from "./chain-send.ts";
import { lookAtRest } from "./look-at-rest.ts";
import { readLooks } from "./looks.ts";
import { noteKeeper } from "./notes.ts";
import { type ChainContent, pointInTimeFolder, readChain } from "./wal-chain.ts";
import { parseLsn, segmentAt } from "./wal-segment.ts";
import { nothingWatched, type Watched, watchWal } from "./wal-watch.ts";

const LOOK_EVERY_MS = 2000;
const BASE_EVERY_MS = 7 * 24 * 3_600_000;
const SEND_AGAIN_MS = 60_000;
const BASE_AGAIN_MS = 5 * 60_000;
/** How soon another one is taken when what is there is damaged: a disk that damages each must not be filled with them. */
const BASE_INSTEAD_MS = 3_600_000;
const LOOK_AT_REST_EVERY_MS = 5000;

type Part = "base" | "sending" | "checking";
type Say = (part: "receiving" | Part, trouble: string | null) => void;

/**
 * Keeps every moment of the database recoverable, until `signal` aborts: receives its WAL, and takes a base backup when a chain
 * begins and once a week. Does nothing where the stack has it switched off. Never throws: says once what fails, and tries again.
 */
export async function keepPointInTime(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  if (!settings.pointInTime) return;
  while (!signal.aborted) {
    try {
      await withContainerLock(`point-in-time-${settings.stack}`, "the agent", () =>
        work(settings, report, signal),
      );
    } catch (error) {
      // Another agent in this container has it. It has just been killed, or will be.
      if (!(error instanceof Stop && error.code === EXIT.busy))
        report.warn(`Point in time: ${(error as Error).message}`);
    }
    await pause(LOOK_EVERY_MS, signal);
  }
}

async function work(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<void> {
  await endReplicationClientsIn(pointInTimeFolder(settings));
  await removeChainLeftovers(settings);
  const watched = nothingWatched();
  const say = sayer(settings, report);
  await Promise.all([
    keepWatching(settings, watched, report, say, signal),
    keepDoing(
      "base",
      BASE_AGAIN_MS,
      () => inLogRun("base backup", () => takeDueBase(settings, watched, report, signal)),
      say,
      signal,
    ),
    keepDoing("sending", SEND_AGAIN_MS, () => sendAll(settings, report, signal), say, signal),
    keepDoing("checking", LOOK_AT_REST_EVERY_MS, () => lookAround(settings, report, signal), say, signal),
  ]);
}

/** Says when a trouble begins and when it is over, and notes it for the status. */
function sayer(settings: AgentSettings, report: Reporter): Say {
  const note = noteKeeper(settings);
  const told = new Map<string, string | null>();
  return (part, trouble) => {
    const before = told.get(part) ?? null;
    if (trouble !== null && trouble !== before) report.warn(`Point in time: ${trouble}`);
    if (trouble === null && before !== null) report.done(`Point in time: ${part} goes well again`);
    told.set(part, trouble);
    void note({ [part]: trouble });
  };
}

async function keepWatching(
  settings: AgentSettings,
  watched: Watched,
  report: Reporter,
  say: Say,
  signal: AbortSignal,
): Promise<void> {
  let session: pg.Client | null = null;
  while (!signal.aborted) {
    try {
      session ??= await connectToMaintenance(settings, "budgie point in time");
      await watchWal(settings, session, watched, report);
      say("receiving", watched.receiving ? null : (watched.receiver?.trouble() ?? null));
    } catch (error) {
      say("receiving", (error as Error).message);
      await session?.end().catch(() => undefined);
      session = null;
    }
    await pause(LOOK_EVERY_MS, signal);
  }
  await watched.receiver?.stop();
  await session?.end().catch(() => undefined);
}

/** Does what is due, again and again. Never throws. `work` returns whether it knows that all is well. */
async function keepDoing(
  part: Part,
  againAfterMs: number,
  work: () => Promise<boolean>,
  say: Say,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await work()) say(part, null);
    } catch (error) {
      if (signal.aborted) return;
      say(part, (error as Error).message);
      await pause(againAfterMs, signal);
    }
    await pause(LOOK_EVERY_MS, signal);
  }
}

async function takeDueBase(
  settings: AgentSettings,
  { chain, receiving }: Watched,
  report: Reporter,
  signal: AbortSignal,
): Promise<boolean> {
  if (!chain || !receiving) return false;
  if (isBaseDue(await readChain(chain), await readLooks(settings), new Date()))
    await takeBaseBackup(settings, chain, report, signal);
  return true;
}

async function sendAll(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<boolean> {
  if (settings.offsite !== null) await sendChains(settings, settings.offsite, report, signal);
  return true;
}

async function lookAround(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<boolean> {
  await lookAtRest(settings, report, signal);
  await pause(LOOK_AT_REST_EVERY_MS, signal);
  return true;
}

/**
 * It is due also when the newest is from the future: a clock that was wrong must not hold off the next one. And when the newest leads
 * to no moment from now on, because it is damaged itself, or a segment after it is.
 */
export function isBaseDue(content: ChainContent, looks: Looks, now: Date): boolean {
  const newest = content.bases.at(-1);
  if (!newest) return true;
  const age = now.getTime() - Date.parse(newest.consistentAt);
  if (age >= BASE_EVERY_MS || age < -BASE_EVERY_MS) return true;
  return age >= BASE_INSTEAD_MS && !leadsOn(content, soundPart(content, looks));
}

function leadsOn({ bases, sealed }: ChainContent, sound: ChainContent): boolean {
  const newest = bases.at(-1);
  if (!newest || !sound.bases.includes(newest)) return false;
  const first = segmentAt(newest.timeline, parseLsn(newest.startLsn), newest.segmentBytes);
  const from = (of: ChainContent["sealed"]) => of.filter(({ segment }) => segment >= first).length;
  return from(sealed) === from(sound.sealed);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal }).catch(() => undefined);
}
