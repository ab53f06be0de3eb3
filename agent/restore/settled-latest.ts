import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { type CatalogueEntry, listBackups } from "../catalogue/catalogue.ts";
import { drillFlaw } from "../catalogue/drill-record.ts";
import {
  ageOf,
  type Candidate,
  chooseLatest,
  decisionNeeded,
  describeLatest,
  type Good,
  type Latest,
  type LatestQuestion,
} from "../catalogue/latest.ts";
import type { CopiesPlace } from "../copies/place.ts";
import type { RemoteEntry } from "../copies/remote-catalogue.ts";
import { latestRemoteToRestore } from "../copies/remote-choice.ts";
import { isForeignOnly } from "../manifest/flaw.ts";
import { totalRows } from "../manifest/manifest.ts";

/** A choice, and the question that it answers. */
export interface Chosen<T extends Candidate> {
  latest: Latest<T>;
  question: LatestQuestion;
}

/** A choice, as a program reads it. */
export interface ShownChoice {
  /** What `restore` is to be given for it. */
  source: string;
  name: string;
  /** `3 days` */
  age: string;
  tables: number;
  rows: number;
  /** Why somebody must decide first, and what there is to type; null when nothing speaks against it. */
  decision: { message: string; next: string } | null;
}

/** The latest in the backup directory. Throws a Stop when there is none. */
export async function chooseHere(
  settings: AgentSettings,
  fromStack: string | null,
): Promise<Chosen<CatalogueEntry>> {
  const { stack, backupDirShown: place } = settings;
  const question: LatestQuestion = { stack, fromStack, from: null, place, now: new Date() };
  return { latest: chooseLatest(await listEachAsItsOwn(settings), question), question };
}

/** The latest among the copies in a place. Throws a Stop when there is none. */
export function chooseAmongCopies(
  { stack }: AgentSettings,
  place: CopiesPlace,
  entries: readonly RemoteEntry[],
  fromStack: string | null,
): Chosen<RemoteEntry> {
  const { from, shown } = place;
  const question: LatestQuestion = { stack, fromStack, from, place: shown, now: new Date() };
  return { latest: latestRemoteToRestore(entries, place, question), question };
}

/** Says what was chosen and what was passed over. Throws the Stop that asks for a decision, unless it was taken. */
export function settle<T extends Candidate>(
  { latest, question }: Chosen<T>,
  allowOlder: boolean,
  report: Reporter,
): Good<T> {
  const decision = allowOlder ? null : decisionNeeded(latest, question);
  if (decision) throw decision;
  const { chosen, passedOver } = describeLatest(latest, question);
  report.info(chosen);
  for (const line of passedOver) report.warn(line);
  return latest.chosen;
}

export function showChoice({ latest, question }: Chosen<Candidate & { key?: string }>): ShownChoice {
  const { name, key, manifest } = latest.chosen;
  const decision = decisionNeeded(latest, question);
  return {
    source: key ?? name,
    name,
    age: ageOf(latest.chosen, question.now),
    tables: manifest.tables.length,
    rows: totalRows(manifest.tables),
    decision: decision && { message: decision.message, next: decision.next ?? "" },
  };
}

/** Every backup in the directory, newest first, each with what its own stack finds wrong with it. */
async function listEachAsItsOwn(settings: AgentSettings): Promise<CatalogueEntry[]> {
  const entries = await listBackups(settings);
  const others = new Set(entries.flatMap(({ manifest }) => manifest?.stack ?? []));
  others.delete(settings.stack);
  const seen = new Map<string, CatalogueEntry>();
  for (const stack of others) {
    const theirs = await listBackups({ ...settings, stack });
    for (const entry of theirs) {
      if (entry.manifest?.stack !== stack) continue;
      // Another stack's key is not here. Its backup is restored as a foreign file, so nothing depends on whose it is.
      seen.set(entry.name, isForeignOnly(entry.flaw) ? { ...entry, flaw: drillFlaw(entry.drill) } : entry);
    }
  }
  return entries.map(entry => seen.get(entry.name) ?? entry);
}
