/**
 * When a backup was taken, by its name, in milliseconds since 1970; null where the name holds no time that there ever was.
 * A file's own times say when it was copied or touched.
 */
export function timeInName(backup: string): number | null {
  const found = /^budgie_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)\./.exec(backup);
  if (!found) return null;
  const [, year, month, day, hour, minute, second] = found;
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const at = new Date(text);
  // JavaScript takes 30 February for 2 March.
  return !Number.isNaN(at.getTime()) && at.toISOString() === text ? at.getTime() : null;
}

/** `2026-11-22`, in UTC as the names are: what a file's name shows, and no setting, decides which day it belongs to. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The Monday that the week began with, `2026-11-16`. */
export function weekOf(at: number): string {
  const daysSinceMonday = (new Date(at).getUTCDay() + 6) % 7;
  return dayOf(at - daysSinceMonday * 24 * 3_600_000);
}

/** `2026-11` */
export function monthOf(at: number): string {
  return dayOf(at).slice(0, 7);
}
