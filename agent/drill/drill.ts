import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { endAcceptance } from "../catalogue/accepted-unproven.ts";
import { saveDrillOutcome } from "../catalogue/drill-record.ts";
import { recordRun } from "../catalogue/last-run.ts";
import { repairLines } from "../catalogue/unloadable-now.ts";
import type { CopiesPlace } from "../copies/place.ts";
import { totalRows } from "../manifest/manifest.ts";
import { type ThrowawayPlace, withThrowawayPlace } from "../throwaway/place.ts";
import { type DrillSource, fetchInto, findHere, findThere, isInCatalogue } from "./source.ts";
import { tryBackup, type Verdict } from "./try-backup.ts";

export interface DrillOptions {
  /** A backup's name, a path inside the agent, or `latest`. */
  which: string;
  /** The place whose copy is tried; null for what is in the backup directory. */
  copies: CopiesPlace | null;
}

export interface Drilled extends Verdict {
  name: string;
  tables: number;
  rows: number;
  seconds: number;
}

const TAKE_ANOTHER = "Take a new backup: npx budgie backup";

/** Below an error's own line. */
const BELOW = "\n    ";

/**
 * Proves a backup by restoring it into a throw-away server, and records the verdict. The verdict on a copy elsewhere is not
 * recorded, because it says nothing of the backup here. The live database is asked once what it is like and otherwise left
 * alone. So no lock is taken, and backups and restores go on meanwhile. Only one drill runs at a time.
 *
 * Returns the verdict. For a backup outside the catalogue, a verdict that is not good is thrown as a Stop. Throws a Stop also when
 * there is no verdict (no disk space, stopped, another version): then what was known of the backup stays.
 */
export function drill(
  settings: AgentSettings,
  { which, copies }: DrillOptions,
  report: Reporter,
): Promise<Drilled> {
  const startedAt = new Date();
  return withThrowawayPlace("drill", `drill since ${startedAt.toISOString()}`, async place => {
    const open = await choose(settings, { which, copies }, place, report);
    return recordRun(settings, "drill", "drill", async () => {
      const source = await open();
      const verdict = await tryBackup(settings, place, source, report);
      const seconds = (Date.now() - startedAt.getTime()) / 1000;
      await keep(settings, source, verdict, seconds);
      const { tables } = source.manifest;
      const drilled = {
        name: copies ? source.shown : source.name,
        ...verdict,
        tables: tables.length,
        rows: totalRows(tables),
        seconds,
      };
      say(drilled, report);
      return drilled;
    });
  });
}

/** Returns what opens the backup. A refusal here is no drill, so the record of how the last drill ended stays as it was. */
async function choose(
  settings: AgentSettings,
  { which, copies }: DrillOptions,
  place: ThrowawayPlace,
  report: Reporter,
): Promise<() => Promise<DrillSource>> {
  if (copies) {
    const entry = await findThere(copies, settings, which);
    return () => fetchInto(place, copies, entry, report);
  }
  const found = await findHere(settings, which);
  return async () => found;
}

/**
 * Records the verdict in the catalogue. A bad verdict on a backup outside the catalogue is thrown instead, and so recorded as how
 * the last drill ended. The status shows either.
 */
async function keep(
  settings: AgentSettings,
  source: DrillSource,
  verdict: Verdict,
  seconds: number,
): Promise<void> {
  const { outcome, why, repair } = verdict;
  if (!isInCatalogue(settings, source)) {
    if (why !== null) throw refusal(source.shown, verdict, why);
    return;
  }
  const { contentSha256 } = source.manifest;
  const at = new Date().toISOString();
  try {
    const record = { at, by: "drill" as const, outcome, why, repair, contentSha256, seconds };
    await saveDrillOutcome(settings, source.name, record);
    if (outcome === "good") await endAcceptance(settings, source.name);
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `${source.name} came out ${outcome}, and this could not be recorded in ${settings.backupDirShown}: ${(error as Error).message}.`,
      "See that the directory can be written, then run the same command again.",
    );
  }
}

function refusal(shown: string, { outcome, repair }: Verdict, why: string): Stop {
  if (outcome === "bad") return new Stop(EXIT.unusableBackup, `${shown} is bad: ${why}.`, TAKE_ANOTHER);
  return new Stop(
    EXIT.unusableBackup,
    `${shown} is whole, and cannot be reloaded as it is: ${why}.`,
    repairLines({ repair }).join(BELOW),
  );
}

function say({ name, outcome, why, repair, notes, tables, rows, seconds }: Drilled, report: Reporter): void {
  if (outcome === "good") {
    for (const note of notes) report.info(note);
    report.done(
      `${name} is proven: restored, and every row and object as recorded. Tables: ${tables}, rows: ${rows}, seconds: ${seconds.toFixed(0)}`,
    );
  } else if (outcome === "bad") {
    report.warn(`${name} is bad, and does not count any more: ${why}`);
    report.info(TAKE_ANOTHER);
  } else {
    report.warn(`${name} is whole, and is kept, but cannot be reloaded as it is: ${why}`);
    for (const line of repairLines({ repair })) report.info(line);
  }
}
