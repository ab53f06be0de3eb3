import { toString as inWords } from "cronstrue";
import type { BackupPolicy } from "./backup-policy-settings.ts";

/** `At 02:00 (UTC)`: when backups are taken by themselves. */
export function scheduleInWords({ schedule, timeZone }: Pick<BackupPolicy, "schedule" | "timeZone">): string {
  if (schedule === undefined) return "by hand only";
  return `${wordsOf(schedule)} (${timeZone})`;
}

/** What is scheduled by is not read here: an expression that only the agent's own library knows is given as it is. */
function wordsOf(expression: string): string {
  try {
    return inWords(expression, { use24HourTimeFormat: true });
  } catch {
    return expression;
  }
}
