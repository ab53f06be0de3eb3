import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { takeBaseBackup } from "./base-backup.ts";
import { sendChains } from "./chain-send.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { noteKeeper } from "./point-in-time-notes.ts";
import { endReplicationClientsIn } from "./replication-client.ts";
import type { Reporter } from "./reporter.ts";
import { connectToMaintenance } from "./server.ts";
import type { AgentSettings } from "./settings.ts";
import { asSoleHolder } from "./sole-holder.ts";
import { type Chain, pointInTimeFolder, readChain } from "./wal-chain.ts";
import { nothingWatched, type Watched, watchWal } from "./wal-watch.ts";

const LOOK_EVERY_MS = 2000;
const BASE_EVERY_MS = 7 * 24 * 3_600_000;
const SEND_AGAIN_MS = 60_000;
const BASE_AGAIN_MS = 5 * 60_000;

type Say = (part: "receiving" | "base" | "sending", trouble: string | null) => void;

/**
 * Keeps every moment of the database recoverable, until `signal` aborts: receives its WAL, and takes a base backup when a chain
 * begins and once a week. Nothing where the stack has it switched off. Never throws; what fails is said once, and tried again.
 */
export async function keepPointInTime(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  if (!settings.pointInTime) return;
  while (!signal.aborted) {
    try {
      await asSoleHolder(`point-in-time-${settings.stack}`, "the agent", () =>
        work(settings, report, signal),
      );
    } catch (error) {
      // Another one of this container, which has just been killed or will be.
      if (!(error instanceof Stop && error.code === EXIT.busy))
        report.warn(`Point in time: ${(error as Error).message}`);
    }
    await pause(LOOK_EVERY_MS, signal);
  }
}

async function work(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<void> {
  await endReplicationClientsIn(pointInTimeFolder(settings));
  const watched = nothingWatched();
  const say = sayer(settings, report);
  await Promise.all([
    keepWatching(settings, watched, report, say, signal),
    keepDoing("base", BASE_AGAIN_MS, () => takeDueBase(settings, watched, report, signal), say, signal),
    keepDoing("sending", SEND_AGAIN_MS, () => sendAll(settings, report, signal), say, signal),
  ]);
}

/** Says a trouble when it begins and when it is over, and notes it for the status. */
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

/** Does what is due, again and again; never throws. `work` says whether it knows that all is well. */
async function keepDoing(
  part: "base" | "sending",
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
  if (await isBaseDue(chain)) await takeBaseBackup(settings, chain, report, signal);
  return true;
}

async function sendAll(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<boolean> {
  if (settings.offsite !== null) await sendChains(settings, settings.offsite, report, signal);
  return true;
}

/** Also when the newest is from the future: a clock that was wrong must not keep the next one away. */
async function isBaseDue(chain: Chain): Promise<boolean> {
  const newest = (await readChain(chain)).bases.at(-1);
  const age = newest ? Date.now() - Date.parse(newest.consistentAt) : BASE_EVERY_MS;
  return age >= BASE_EVERY_MS || age < -BASE_EVERY_MS;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal }).catch(() => undefined);
}
