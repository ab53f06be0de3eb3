import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings, ScheduleSettings } from "../../shared/agent-settings.ts";
import { readSchedule } from "../../shared/schedule.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { type RunMemory, remembersUpTo, runMemory } from "./next-run.ts";

/** What was served of which schedule: another one begins anew. */
const refreshMemory = runMemory.extend({ expression: z.string(), timeZone: z.string() });

/**
 * What the schedule of a refresh remembers. Where nothing is known, or of another schedule, everything up to now counts as served: a
 * schedule that was just set must not replace the database at once.
 */
export async function readRefreshMemory(
  settings: AgentSettings,
  { expression, timeZone }: ScheduleSettings,
  now: Date,
): Promise<RunMemory> {
  const reading = await readRecord(refreshMemory, memoryPath(settings));
  const isOfThis =
    reading.found && reading.record.expression === expression && reading.record.timeZone === timeZone;
  if (!isOfThis) return remembersUpTo(readSchedule(expression, timeZone), now);
  const { served, failedAt } = reading.record;
  return { served, failedAt };
}

export async function writeRefreshMemory(
  settings: AgentSettings,
  { expression, timeZone }: ScheduleSettings,
  memory: RunMemory,
): Promise<void> {
  await writeRecord(memoryPath(settings), { expression, timeZone, ...memory });
}

function memoryPath({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.schedule-refresh-${stack}.json`);
}
