import { setTimeout as delay } from "node:timers/promises";
import { EXIT, Stop } from "./exit-codes.ts";
import {
  type Jitter,
  laterMemory,
  nextRun,
  type Run,
  type RunMemory,
  remembersFailed,
  remembersServed,
} from "./next-run.ts";
import type { Reporter } from "./reporter.ts";
import type { Schedule } from "./schedule.ts";

/** The clock may be set, and the machine may sleep, while one waits: the time is looked at at least this often. */
const LOOK_AGAIN_MS = 60_000;

/** How long a first backup waits for something to be in the database. Then one of an empty database is better than none. */
const FIRST_WAITS_MS = 10 * 60_000;

/** What the loop touches of the world. */
export interface ScheduledWork {
  read(): Promise<RunMemory>;
  write(memory: RunMemory): Promise<void>;
  /** Whether there is something to take a first backup of. */
  hasData(): Promise<boolean>;
  /** Takes a backup; it is done when the backup is in the backup directory, wherever else it is to be. */
  backup(signal: AbortSignal): Promise<unknown>;
  /** What follows a backup. Its failures are said, and change nothing of the backup's success. */
  afterwards(signal: AbortSignal): Promise<void>;
}

export interface Clock {
  now(): Date;
  /** Returns early when `signal` aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  wait: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
};

/**
 * Takes the backups that are due, until `signal` aborts. Never throws: whatever fails is said in one line, and tried again
 * when `nextRun` says so. What was served is remembered in this process as well, so that a disk too full for the memory's
 * file is not filled with one backup after the other; and read again after each wait, because `pulumi up` takes the first
 * backup itself, once the API has made its tables.
 */
export async function keepSchedule(
  schedule: Schedule,
  jitter: Jitter,
  work: ScheduledWork,
  report: Reporter,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  let memory = await work.read();
  const waitsUntil = clock.now().getTime() + FIRST_WAITS_MS;
  while (!signal.aborted) {
    const now = clock.now();
    const run = nextRun(schedule, memory, jitter, now);
    const early = run.at.getTime() - now.getTime();
    const mayWait = run.why === "nothing known of earlier runs" && now.getTime() < waitsUntil;
    if (early > 0 || (mayWait && !(await work.hasData()))) {
      await clock.wait(early > 0 ? Math.min(early, LOOK_AGAIN_MS) : LOOK_AGAIN_MS, signal);
      memory = laterMemory(memory, await work.read());
      continue;
    }
    const outcome = await attempt(run, memory, work, report, signal, clock);
    if (outcome === "busy") {
      await clock.wait(LOOK_AGAIN_MS, signal);
      memory = laterMemory(memory, await work.read());
      continue;
    }
    if (outcome === "stopped") return;
    memory = outcome.memory;
    await work.write(memory).catch((error: Error) => report.warn(`The schedule's memory: ${error.message}`));
    if (outcome.succeeded) await work.afterwards(signal).catch(say(report));
  }
}

type Outcome = { memory: RunMemory; succeeded: boolean } | "busy" | "stopped";

/** A backup that was cut off because the agent stops is no failure: it is made up for at the next start. */
async function attempt(
  run: Run,
  memory: RunMemory,
  work: ScheduledWork,
  report: Reporter,
  signal: AbortSignal,
  clock: Clock,
): Promise<Outcome> {
  try {
    await work.backup(signal);
    return { memory: remembersServed(run), succeeded: true };
  } catch (error) {
    if (signal.aborted) return "stopped";
    say(report)(error as Error);
    if (error instanceof Stop && error.code === EXIT.busy) return "busy";
    return { memory: remembersFailed(memory, clock.now()), succeeded: false };
  }
}

function say(report: Reporter): (error: Error) => void {
  return error => report.warn(`Scheduled backup: ${error.message.replaceAll("\n", " ")}`);
}
