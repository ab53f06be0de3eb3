import type { AgentSettings } from "../../shared/agent-settings.ts";
import { acceptedSince } from "../catalogue/accepted-unproven.ts";
import { type CatalogueEntry, isOnlyUnloadable, NO_MANIFEST } from "../catalogue/catalogue.ts";
import { repairLines, unloadableNow } from "../catalogue/unloadable-now.ts";
import { CHANGED, isForeignOnly } from "../manifest/flaw.ts";

/** What is wrong, and what is to be known. */
export interface Judged {
  problems: string[];
  warnings: string[];
}

/** Of the files that do not count. `newest` is this stack's newest backup that was taken. */
export function judgeFlawed(flawed: readonly CatalogueEntry[], newest: string | undefined): Judged {
  const kept = flawed.filter(entry => isStranger(entry) || isOfBefore(entry, newest));
  const bad = flawed.filter(entry => !kept.includes(entry) && !isOnlyUnloadable(entry));
  return {
    problems: [
      ...(bad.length > 0 ? [`These files do not count as backups: ${flawsOf(bad)}.`] : []),
      ...judgeWithoutManifest(bad),
    ],
    warnings: strangers(kept),
  };
}

/**
 * A backup without a known fault that is kept for whoever may miss it. A restore over another database saves that database first.
 * And when the stack's key was lost with its state, whatever was signed with it seems to be somebody else's.
 */
function isStranger({ manifest, flaw }: CatalogueEntry): boolean {
  return isForeignOnly(flaw) || (manifest?.identity === "unexpected" && flaw !== CHANGED);
}

/**
 * A file without a manifest that is older than this stack's newest backup, such as those of the script that Budgie had before. That this
 * stack's own has lost its manifest is told by itself.
 */
function isOfBefore({ name, flaw }: CatalogueEntry, newest: string | undefined): boolean {
  return flaw === NO_MANIFEST && newest !== undefined && name < newest;
}

function strangers(found: readonly CatalogueEntry[]): string[] {
  return found.length === 0
    ? []
    : [`Kept, though never the latest: ${flawsOf(found)}. Remove what you do not want.`];
}

/** Nobody knows what a file without a manifest is, so the operator must say. */
function judgeWithoutManifest(bad: readonly CatalogueEntry[]): string[] {
  return bad
    .filter(({ manifest, flaw }) => manifest === null && flaw === NO_MANIFEST)
    .map(
      ({ name }) =>
        `${name} has no manifest. If it is a dump of yours, this loads it as a foreign file: npx budgie restore ${name}. To be rid of this line, move it out of the backup directory.`,
    );
}

/** A database that cannot be reloaded is a problem until the operator accepts that, and a warning from then on. */
export async function judgeUnloadable(
  settings: AgentSettings,
  all: readonly CatalogueEntry[],
): Promise<Judged> {
  const now = unloadableNow(all);
  const older = all.filter(entry => isOnlyUnloadable(entry) && entry.name !== now?.name);
  const kept =
    older.length === 0 ? [] : [`Kept, though no restore takes them as they are: ${namesOf(older)}.`];
  if (now === null) return { problems: [], warnings: kept };
  const acceptedAt = await acceptedSince(settings, now);
  const told = [`${now.name} is whole, and cannot be reloaded as it is: ${now.why}.`, ...repairLines(now)];
  if (acceptedAt === null)
    return {
      problems: [[...told, "Or accept it: npx budgie accept-unproven"].join("\n    ")],
      warnings: kept,
    };
  const accepted = `No backup is proven, as accepted on ${acceptedAt.slice(0, 10)}.`;
  return { problems: [], warnings: [[accepted, ...told].join("\n    "), ...kept] };
}

function namesOf(entries: readonly CatalogueEntry[]): string {
  return entries.map(({ name }) => name).join(", ");
}

function flawsOf(entries: readonly CatalogueEntry[]): string {
  return entries.map(({ name, flaw }) => `${name} (${flaw})`).join(", ");
}
