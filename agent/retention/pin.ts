import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";
import { listBackups } from "../catalogue/catalogue.ts";
import { type Pin, readPin, removePin, writePin } from "../catalogue/pin.ts";

/** Has retention leave the backup alone until then, or until `unpin` (null). Throws a Stop when there is no such backup. */
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

/** The end of that day in UTC, as in the backups' names. Throws a Stop for a text that is no day, and for a day that is over. */
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
