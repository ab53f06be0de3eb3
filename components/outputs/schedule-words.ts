import { toString as inWords } from "cronstrue";
import type { BackupPolicy } from "../../settings/backup-policy.ts";

/** `At 02:00 (UTC)`: when backups are taken by themselves. */
export function scheduleInWords({ schedule, timeZone }: Pick<BackupPolicy, "schedule" | "timeZone">): string {
  if (schedule === undefined) return "by hand only";
  return `${wordsOf(schedule)} (${timeZone})`;
}

/**
 * Only words are made here; the agent reads the schedule with another library. An expression that this one does not know
 * is shown as it is.
 */
function wordsOf(expression: string): string {
  try {
    return inWords(expression, { use24HourTimeFormat: true });
  } catch {
    return expression;
  }
}
