import { setTimeout as delay } from "node:timers/promises";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Schedule } from "../../shared/schedule.ts";
import { inLogRun } from "../base/log-run.ts";
import type { Reporter } from "../base/reporter.ts";
import {
  type Jitter,
  laterMemory,
  nextRun,
  type Run,
  type RunMemory,
  remembersFailed,
  remembersServed,
} from "./next-run.ts";

/** While the loop waits, the clock may be set, and the machine may sleep. So it looks at the time at least this often. */
const LOOK_AGAIN_MS = 60_000;

/** How long a first backup waits for data. Then a backup of an empty database is better than none. */
const FIRST_WAITS_MS = 10 * 60_000;

/** What the loop touches of the world. */
export interface ScheduledWork {
  /** What the log calls it: `Scheduled backup`. */
  name: string;
  read(): Promise<RunMemory>;
  write(memory: RunMemory): Promise<void>;
  /** Whether there is something to take a first backup of. */
  hasData(): Promise<boolean>;
  /** Takes a backup, or what else is due. A backup is done when it is in the backup directory, even if it has to go elsewhere too. */
  run(signal: AbortSignal): Promise<unknown>;
  /** Whether to try again soon after this failure; else it is tried when it is due again. */
  maySoonSucceed(error: unknown): boolean;
  /** What follows it. Its failures are said, but it has succeeded all the same. */
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
 * Does what is due, such as backups, until `signal` aborts. Never throws: says in one line whatever fails, and tries again when
 * `nextRun` says so. The process itself remembers what was served: a disk that is too full for the memory's file must not be
 * filled with one backup after the other. The file is read again after each wait, because `pulumi up` takes the first backup
 * itself, once the API has made its tables.
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
    const outcome = await inLogRun(work.name.toLowerCase(), async () => {
      const tried = await attempt(run, memory, work, report, signal, clock);
      if (typeof tried === "string") return tried;
      await work
        .write(tried.memory)
        .catch((error: Error) => report.warn(`The schedule's memory: ${error.message}`));
      if (tried.succeeded) await work.afterwards(signal).catch(say(work, report));
      return tried;
    });
    if (outcome === "busy") {
      await clock.wait(LOOK_AGAIN_MS, signal);
      memory = laterMemory(memory, await work.read());
      continue;
    }
    if (outcome === "stopped") return;
    memory = outcome.memory;
  }
}

type Outcome = { memory: RunMemory; succeeded: boolean } | "busy" | "stopped";

/** A backup that was cut off because the agent stops is no failure: the next start makes up for it. */
async function attempt(
  run: Run,
  memory: RunMemory,
  work: ScheduledWork,
  report: Reporter,
  signal: AbortSignal,
  clock: Clock,
): Promise<Outcome> {
  try {
    await work.run(signal);
    return { memory: remembersServed(run), succeeded: true };
  } catch (error) {
    if (signal.aborted) return "stopped";
    say(work, report)(error as Error);
    if (error instanceof Stop && error.code === EXIT.busy) return "busy";
    if (!work.maySoonSucceed(error)) return { memory: remembersServed(run), succeeded: false };
    return { memory: remembersFailed(memory, clock.now()), succeeded: false };
  }
}

function say({ name }: ScheduledWork, report: Reporter): (error: Error) => void {
  return error => report.warn(`${name}: ${error.message.replaceAll("\n", " ")}`);
}
