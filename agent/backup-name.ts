import type { BackupFormat } from "./settings.ts";

/** `budgie_20251125_092704.sql` and what belongs to it. The time is UTC, so names sort by age across clock changes. */
const BACKUP = /^(budgie_\d{8}_\d{6})\.(sql|sql\.gz)$/;

/** `20251125_092704`, in UTC. */
export function timestamp(at: Date): string {
  const [date, time] = at.toISOString().split("T") as [string, string];
  return `${date.replaceAll("-", "")}_${time.slice(0, 8).replaceAll(":", "")}`;
}

export function backupName(at: Date, format: BackupFormat): string {
  return `budgie_${timestamp(at)}.${format}`;
}

/** The manifest of a backup: the same name with `.json` for its ending, so that `gzip` of the dump keeps the pair. */
export function manifestName(backup: string): string | null {
  const stem = BACKUP.exec(backup)?.[1];
  return stem ? `${stem}.json` : null;
}

export function isBackupName(name: string): boolean {
  return BACKUP.test(name);
}
