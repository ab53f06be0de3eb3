import { createHash } from "node:crypto";
import { z } from "zod";
import type { Schedule } from "../../shared/schedule.ts";
import type { RecordReading } from "../base/json-record.ts";

const HOUR_MS = 3_600_000;

/** A run that failed is tried again after this long, or when the next one is due, whichever is first. */
export const RETRY_AFTER_MS = HOUR_MS;

/**
 * If a served due time lies further ahead than this, the clock was wrong when it was served. To believe it would mean days, or
 * years, without a backup.
 */
export const BELIEVED_AHEAD_MS = 24 * HOUR_MS;

const moment = z.iso
  .datetime()
  .transform(text => new Date(text))
  .nullable();

export const runMemory = z.object({
  /** The last due time that was served; null when that is not known. */
  served: moment,
  /** When the newest run since then failed. */
  failedAt: moment,
});

/** What a schedule's runner must know after a restart. */
export type RunMemory = z.infer<typeof runMemory>;

export interface Run {
  /** The due time that it serves. Everything that was missed before is served with it. */
  due: Date;
  /** When it is to start; not later than now when it is to start at once. */
  at: Date;
  why: "due" | "failed before" | "nothing known of earlier runs";
}

/** Runs that are due together, on several stacks of one machine, start apart. */
export interface Jitter {
  /** A run starts less than this later than it is due, and before the next one is. */
  ms: number;
  /** Spread by this, e.g. the stack's name: the same run waits equally long after every restart. */
  key: string;
}

/** Whatever cannot be read counts as no earlier run: one backup too many, never one too few. */
export function memoryFrom(reading: RecordReading<RunMemory>): RunMemory {
  return reading.found ? reading.record : { served: null, failedAt: null };
}

/** To be remembered when a run succeeded. */
export function remembersServed(run: Run): RunMemory {
  return { served: run.due, failedAt: null };
}

/** To be remembered when a backup was taken now, by another than the schedule's own loop. */
export function remembersUpTo(schedule: Schedule, now: Date): RunMemory {
  return { served: schedule.upTo(now), failedAt: null };
}

/** Of two memories, the one with the later served run; `own` when they have the same, or none. */
export function laterMemory(own: RunMemory, other: RunMemory): RunMemory {
  return other.served !== null && (own.served === null || other.served > own.served) ? other : own;
}

/** To be remembered when a run failed. */
export function remembersFailed(before: RunMemory, now: Date): RunMemory {
  return { served: before.served, failedAt: now };
}

/**
 * The next run. It is either due and not served yet, or in the future. A due time that was served does not come again, whatever
 * the clock does within a day. The clock may be set while one waits, so ask again every minute.
 */
export function nextRun(schedule: Schedule, remembered: RunMemory, jitter: Jitter, now: Date): Run {
  const served = believed(remembered.served, now);
  const passed = schedule.upTo(now);
  if (served !== null && passed <= served) {
    return waiting(schedule, jitter, served > now ? served : now);
  }
  const failedAt = remembered.failedAt;
  // A failure from before the due time was an earlier run's. One from the future was noted by a wrong clock.
  if (failedAt !== null && failedAt >= passed && failedAt <= now) {
    const following = waiting(schedule, jitter, now);
    const again = new Date(Math.min(failedAt.getTime() + RETRY_AFTER_MS, following.at.getTime()));
    return { due: passed, at: again, why: "failed before" };
  }
  if (served === null) return { due: passed, at: now, why: "nothing known of earlier runs" };
  return { due: passed, at: delayed(schedule, jitter, passed), why: "due" };
}

function believed(served: Date | null, now: Date): Date | null {
  return served !== null && served.getTime() <= now.getTime() + BELIEVED_AHEAD_MS ? served : null;
}

function waiting(schedule: Schedule, jitter: Jitter, after: Date): Run {
  const due = schedule.after(after);
  return { due, at: delayed(schedule, jitter, due), why: "due" };
}

/** The start is never as late as the next due time, so that runs stay in order and each is served. */
function delayed(schedule: Schedule, { ms, key }: Jitter, due: Date): Date {
  if (ms === 0) return due;
  const room = Math.min(ms, schedule.after(due).getTime() - due.getTime());
  const hash = createHash("sha256").update(`${key} ${due.toISOString()}`).digest().readUInt32BE(0);
  return new Date(due.getTime() + Math.floor((room * hash) / 2 ** 32));
}
