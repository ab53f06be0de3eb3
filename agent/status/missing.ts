import type { AgentSettings } from "../../shared/agent-settings.ts";
import { listBackups } from "../catalogue/catalogue.ts";
import { forget, type Known } from "../catalogue/known.ts";
import { missingBackups, rememberBackups } from "../catalogue/known-backups.ts";
import { missingBases, rememberBases } from "../point-in-time/known-bases.ts";

/** Of a long list, how many are named. */
const NAMED = 5;

/** Notes what is in the backup directory now. */
export async function rememberWhatIsHere(settings: AgentSettings): Promise<void> {
  await rememberBackups(settings, await listBackups(settings));
  await rememberBases(settings);
}

/** What was in the backup directory, and was not removed by the agent. Oldest first. */
export async function missingHere(settings: AgentSettings): Promise<Known[]> {
  return [...(await missingBackups(settings)), ...(await missingBases(settings))];
}

/** From now on nobody misses them. Returns what was missing. */
export async function acceptMissing(settings: AgentSettings): Promise<Known[]> {
  const missing = await missingHere(settings);
  for (const { name } of missing) await forget(settings, name);
  return missing;
}

/** One sentence, with the ways out; none when nothing is missing. */
export async function judgeMissing(settings: AgentSettings): Promise<string[]> {
  const missing = await missingHere(settings);
  if (missing.length === 0) return [];
  const { backupDirShown: directory, offsite } = settings;
  const isEmpty = (await listBackups(settings)).length === 0;
  const more = missing.length > NAMED ? ` and ${missing.length - NAMED} more` : "";
  const what = `${namesOfNewest(missing)}${more}`;
  const gone = isEmpty
    ? `${directory} is empty, and these backups were there: ${what}. Is its disk mounted? Mount it, then: npx budgie restart backup.`
    : `This is gone from ${directory}, and not by a rule: ${what}.`;
  const fetch = offsite ? " What is in the bucket comes back with `npx budgie pull NAME`." : "";
  return [`${gone}${fetch} If they are lost: npx budgie accept-missing-backups`];
}

function namesOfNewest(missing: readonly Known[]): string {
  return missing
    .toReversed()
    .slice(0, NAMED)
    .map(({ name, lacks }) => (lacks ? `${lacks}, the manifest of ${name}` : name))
    .join(", ");
}
