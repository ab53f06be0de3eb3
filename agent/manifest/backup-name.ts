import { BACKUP_FORMATS, type BackupFormat, FORMAT_PATTERN, isArchive } from "../../shared/backup-format.ts";

/** `budgie_20251125_092704.sql` and what belongs to it. The time is UTC, so names sort by age across clock changes. */
const BACKUP = new RegExp(`^(budgie_\\d{8}_\\d{6})\\.(${FORMAT_PATTERN})$`);

/** `20251125_092704`, in UTC. */
export function timestamp(at: Date): string {
  const [date, time] = at.toISOString().split("T") as [string, string];
  return `${date.replaceAll("-", "")}_${time.slice(0, 8).replaceAll(":", "")}`;
}

export function backupName(at: Date, format: BackupFormat): string {
  return `budgie_${timestamp(at)}.${format}`;
}

/** Every name that a backup of that second, or what belongs to it, may have. One that exists keeps the second taken. */
export function namesOfSecond(at: Date): string[] {
  return [...BACKUP_FORMATS, "json", "globals.sql"].map(ending => `budgie_${timestamp(at)}.${ending}`);
}

/** The manifest of a backup: the same name with `.json` for its ending, so that `gzip` of the dump keeps the pair. */
export function manifestName(backup: string): string | null {
  const stem = BACKUP.exec(backup)?.[1];
  return stem ? `${stem}.json` : null;
}

export function isBackupName(name: string): boolean {
  return BACKUP.test(name);
}

/** null for what is no backup's name. */
export function formatOf(backup: string): BackupFormat | null {
  return (BACKUP.exec(backup)?.[2] as BackupFormat | undefined) ?? null;
}

/** The name of a backup that pg_restore reads, and psql does not. */
export function isArchiveName(backup: string): boolean {
  const format = formatOf(backup);
  return format !== null && isArchive(format);
}
