import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { StatusLine, Verdict } from "../../shared/status-lines.ts";
import type { Reporter } from "../base/reporter.ts";
import { deliver } from "./deliver.ts";
import { readDestinations } from "./destinations.ts";
import type { Message } from "./message.ts";
import { type AlertState, changeAlertState, noteDelivery, readAlertState } from "./state.ts";

/** So long something must be wrong before somebody is called: a database that restarts is no alarm. */
export const WRONG_FOR_MS = 150_000;

export interface Found {
  verdict: Verdict;
  lines: readonly StatusLine[];
  problems: readonly string[];
  at: string;
}

/**
 * What is to be told now, if anything, and what is to be remembered once that is done. Each line that turns wrong is told once, and
 * once that all is right again. That an alert was not delivered calls nobody: nobody would hear it.
 */
export function decide(
  known: Pick<AlertState, "told" | "wrongSince">,
  { lines, at }: Pick<Found, "lines" | "at">,
): { tell: "wrong" | "right" | null; next: Pick<AlertState, "told" | "wrongSince"> } {
  const wrong = lines
    .filter(({ id, level }) => id !== "alerts" && (level === "FAIL" || level === "unknown"))
    .map(({ id }) => id);
  if (wrong.length === 0) {
    return { tell: known.told.length > 0 ? "right" : null, next: { told: [], wrongSince: null } };
  }
  const wrongSince = known.wrongSince ?? at;
  const isNew = wrong.some(id => !known.told.includes(id));
  const lasts =
    Date.parse(at) - Date.parse(wrongSince) >= WRONG_FOR_MS || Date.parse(wrongSince) > Date.parse(at);
  if (!isNew) return { tell: null, next: { told: known.told, wrongSince } };
  if (known.told.length === 0 && !lasts) return { tell: null, next: { told: [], wrongSince } };
  // What was told stays told until all is right: a line that comes and goes calls nobody twice.
  return { tell: "wrong", next: { told: [...new Set([...known.told, ...wrong])], wrongSince } };
}

/** Tells whoever is to be told of what was found. Never throws. A message that nobody took is tried again at the next look. */
export async function alertOn(settings: AgentSettings, found: Found, report: Reporter): Promise<void> {
  try {
    const { alerts } = await readDestinations(settings);
    if (alerts.length === 0) return;
    const known = await readAlertState(settings);
    const { tell, next } = decide(known, found);
    if (tell === null) {
      if (next.wrongSince !== known.wrongSince) await changeAlertState(settings, () => next);
      return;
    }
    const { verdict, problems, at } = found;
    const message: Message = { kind: tell, stack: settings.stack, sentence: verdict.sentence, problems, at };
    const failures = await Promise.all(
      alerts.map(async target => ({ target, why: await deliver(target, message) })),
    );
    for (const { target, why } of failures) {
      await noteDelivery(settings, target.shown, why);
      if (why !== null) report.warn(`An alert was not delivered to ${target.shown}: ${why}`);
    }
    if (failures.some(({ why }) => why === null)) await changeAlertState(settings, () => next);
  } catch (error) {
    report.warn((error as Error).message);
  }
}
