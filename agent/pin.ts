import { listBackups } from "./catalogue.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { readPin, removePin, writePin } from "./pin-file.ts";
import type { Pin } from "./pins.ts";
import { refuse } from "./refuse.ts";
import type { AgentSettings } from "./settings.ts";

/** Has retention leave the backup alone until then, or, with null, until `unpin`. Throws a Stop when there is none such. */
export async function pin(settings: AgentSettings, backup: string, until: Date | null): Promise<Pin> {
  await requireHere(settings, backup);
  const pinned = { until: until?.toISOString() ?? null, pinnedAt: new Date().toISOString() };
  await writePin(settings, backup, pinned);
  return pinned;
}

/** Returns whether there was a pin. The backup may go with the next prune. */
export async function unpin(settings: AgentSettings, backup: string): Promise<boolean> {
  await requireHere(settings, backup);
  const was = await readPin(settings, backup);
  await removePin(settings, backup);
  return was !== null;
}

/** The end of that day in UTC, as the backups' names have it. Throws a Stop for what is no day, or is over. */
export function endOfDay(text: string, now = new Date()): Date {
  const end = new Date(`${text}T23:59:59.999Z`);
  const isDay = !Number.isNaN(end.getTime()) && end.toISOString().slice(0, 10) === text;
  if (isDay && end > now) return end;
  throw new Stop(
    EXIT.usage,
    isDay ? `${text} is over.` : `${JSON.stringify(text)} is not a day.`,
    "Name a day to come, e.g. --until 2027-03-31, or leave it out to pin the backup for good.",
  );
}

async function requireHere(settings: AgentSettings, backup: string): Promise<void> {
  if ((await listBackups(settings)).some(({ name }) => name === backup)) return;
  throw refuse(
    `There is no backup ${backup} in ${settings.backupDirShown}`,
    "`npx budgie list` shows what there is.",
  );
}
