import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readSchedule } from "../../shared/schedule.ts";
import { shownMinute } from "../base/shown-moment.ts";
import { listKept } from "../retention/kept-backups.ts";
import { newestAhead } from "../retention/retention.ts";
import { nextRun, type Run } from "../schedule/next-run.ts";
import { readRunMemory } from "../schedule/run-memory.ts";

const HOUR_MS = 3_600_000;

/** Without a schedule: a day and two hours. A daily backup that is late by more than that was missed. */
const STALE_AFTER_MS = 26 * HOUR_MS;

/** How late a run may be before somebody must look: nobody is there to start it. */
const MISSED_AFTER_MS = HOUR_MS;

/** How long a backup may take, from when it is due. Only then the one before it is too old. */
const MAY_TAKE_MS = 2 * HOUR_MS;

/** When the next backup starts by itself, in ISO 8601, and why; null where the stack has no schedule. */
export type NextBackup = { at: string; due: string; why: Run["why"] } | null;

/** Adds to `problems` a due backup that was not taken, and a clock that is wrong. */
export async function readNextBackup(
  settings: AgentSettings,
  problems: string[],
  now: Date,
): Promise<NextBackup> {
  const ahead = newestAhead(await listKept(settings), now);
  if (ahead !== null)
    problems.push(
      `${ahead} is from the future: the clock is, or was, wrong. Until it is put right, or that file deleted, no backup is removed.`,
    );
  if (settings.schedule === null) return null;
  const { expression, timeZone, jitterSeconds } = settings.schedule;
  const run = nextRun(
    readSchedule(expression, timeZone),
    await readRunMemory(settings),
    { ms: jitterSeconds * 1000, key: settings.stack },
    now,
  );
  problems.push(...judgeNext(run, now));
  return { at: run.at.toISOString(), due: run.due.toISOString(), why: run.why };
}

export function judgeNext({ due, at }: Run, now: Date): string[] {
  if (now.getTime() - at.getTime() <= MISSED_AFTER_MS) return [];
  return [
    `The backup that was due on ${shownMinute(due)} has not been taken. See what the agent says: npx budgie logs backup`,
  ];
}

/** A newest backup from before this is too old: a later one was due and should be there. */
export function staleBefore({ schedule }: Pick<AgentSettings, "schedule">, now: Date): Date {
  if (schedule === null) return new Date(now.getTime() - STALE_AFTER_MS);
  const { expression, timeZone, jitterSeconds } = schedule;
  const started = new Date(now.getTime() - MAY_TAKE_MS - jitterSeconds * 1000);
  return readSchedule(expression, timeZone).upTo(started);
}

export function scheduleWarnings({ schedule }: Pick<AgentSettings, "schedule">): string[] {
  return schedule === null ? ["No backup is taken by itself: budgie:backupSchedule is not set."] : [];
}

/** `oldest`: a newest backup from before it is too old. */
export function judgeBackups(newestAt: string | null, now: Date, oldest: Date): string[] {
  if (newestAt === null) return ["There is no backup. Take one: npx budgie backup"];
  const age = now.getTime() - new Date(newestAt).getTime();
  if (age < -60_000)
    return [`The newest backup is from the future (${newestAt}): the clock is, or was, wrong.`];
  if (new Date(newestAt) >= oldest) return [];
  return [`The newest backup is ${Math.floor(age / 3_600_000)} hours old. Take one: npx budgie backup`];
}
