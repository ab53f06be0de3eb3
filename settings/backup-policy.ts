import type { RetentionPolicy } from "../shared/retention-policy.ts";
import { scheduleProblem, timeZoneProblem } from "../shared/schedule.ts";
import { boolean, integer, optional, type SettingDefinition, text } from "./definition.ts";

/** When backups are taken by themselves, and which of them stay: docs/retention.md. */
export interface BackupPolicy {
  /** Five cron fields; undefined where backups are only taken by hand. */
  schedule: string | undefined;
  /** Whose wall clock the schedule is read on, e.g. Europe/Berlin. */
  timeZone: string;
  /** A run starts up to so much later than it is due. */
  jitterSeconds: number;
  keep: RetentionPolicy;
  /** Receives the server's WAL, so that every moment can be gone back to: docs/point-in-time.md. */
  pointInTime: boolean;
}

export const backupPolicyDefinitions = {
  backupSchedule: {
    schema: optional(text(/^[^\r\n]+$/).refine(value => scheduleProblem(value) === null)),
    allowed: "five cron fields (minute, hour, day of month, month, day of week) that come due, or nothing",
    example: "0 2 * * *",
  },
  timezone: {
    schema: text(/^[^\r\n]+$/).refine(value => timeZoneProblem(value) === null),
    allowed: "the name of a time zone",
    example: "Europe/Berlin",
  },
  backupJitterSeconds: {
    schema: integer(0, 86_400),
    allowed: "a whole number of seconds from 0 to 86400",
    example: "600",
  },
  keepDays: { schema: integer(1, 36_500), allowed: "a whole number from 1 to 36500", example: "7" },
  keepAtLeast: { schema: integer(1, 10_000), allowed: "a whole number from 1 to 10000", example: "3" },
  keepWeeks: { schema: integer(0, 5200), allowed: "a whole number from 0 to 5200", example: "4" },
  keepMonths: { schema: integer(0, 1200), allowed: "a whole number from 0 to 1200", example: "12" },
  pointInTime: { schema: boolean, allowed: "true or false", example: "true" },
} satisfies Record<string, SettingDefinition>;

export interface BackupPolicyValues {
  backupSchedule: string | undefined;
  timezone: string;
  backupJitterSeconds: number;
  keepDays: number;
  keepAtLeast: number;
  keepWeeks: number;
  keepMonths: number;
  pointInTime: boolean;
}

export function toBackupPolicy(values: BackupPolicyValues): BackupPolicy {
  return {
    schedule: values.backupSchedule,
    timeZone: values.timezone,
    jitterSeconds: values.backupJitterSeconds,
    keep: {
      days: values.keepDays,
      atLeast: values.keepAtLeast,
      weeks: values.keepWeeks,
      months: values.keepMonths,
    },
    pointInTime: values.pointInTime,
  };
}
