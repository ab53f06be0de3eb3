import { saveDrillOutcome } from "./drill-record.ts";
import { fetchFrom, findHere, isInCatalogue } from "./drill-source.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { recordRun } from "./last-run.ts";
import { totalRows } from "./manifest.ts";
import type { ObjectStore } from "./object-store.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { withThrowawayPlace } from "./throwaway-place.ts";
import { type DrillSource, tryBackup, type Verdict } from "./try-backup.ts";

export interface DrillOptions {
  /** A backup's name, a path inside the agent, or `latest`. */
  which: string;
  /** The store whose copy is tried, with credentials that may read; null for what is in the backup directory. */
  store: ObjectStore | null;
}

export interface Drilled extends Verdict {
  name: string;
  tables: number;
  rows: number;
  seconds: number;
}

const TAKE_ANOTHER = "Take a new backup: npx budgie backup";

/**
 * Proves a backup by restoring it into a throw-away server, and records how that came out; not that of a store's copy, which
 * says nothing of the one here. The live database is asked once what it is like and otherwise left alone, so no lock is
 * taken: backups and restores go on meanwhile. Only one drill runs at a time.
 *
 * Returns a verdict, good or bad; a bad one of what is not in the catalogue it throws. Throws a Stop when none was reached (no disk space, stopped, another version): then what
 * was known of the backup stays.
 */
export function drill(
  settings: AgentSettings,
  { which, store }: DrillOptions,
  report: Reporter,
): Promise<Drilled> {
  const startedAt = new Date();
  return withThrowawayPlace("drill", `drill since ${startedAt.toISOString()}`, place =>
    recordRun(
      settings,
      "drill",
      async () => {
        const source = store
          ? await fetchFrom(store, settings, which, place, report)
          : await findHere(settings, which);
        const verdict = await tryBackup(settings, place, source, report);
        await keep(settings, source, verdict);
        const { tables } = source.manifest;
        const drilled = {
          name: store ? source.shown : source.name,
          ...verdict,
          tables: tables.length,
          rows: totalRows(tables),
          seconds: (Date.now() - startedAt.getTime()) / 1000,
        };
        say(drilled, report);
        return drilled;
      },
      "drill",
    ),
  );
}

/** In the catalogue, or, for what is not in it, as how the last drill ended: a bad one shows in the status in either case. */
async function keep(settings: AgentSettings, source: DrillSource, verdict: Verdict): Promise<void> {
  const { outcome, why } = verdict;
  if (!isInCatalogue(settings, source)) {
    if (why !== null) throw new Stop(EXIT.unusableBackup, `${source.shown} is bad: ${why}.`, TAKE_ANOTHER);
    return;
  }
  const { contentSha256 } = source.manifest;
  const at = new Date().toISOString();
  try {
    await saveDrillOutcome(settings, source.name, { at, outcome, why, contentSha256 });
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `${source.name} came out ${outcome}, and this could not be recorded in ${settings.backupDirShown}: ${(error as Error).message}.`,
      "See that the directory can be written, then run the same command again.",
    );
  }
}

function say({ name, why, tables, rows, seconds }: Drilled, report: Reporter): void {
  if (why !== null) {
    report.warn(`${name} is bad, and does not count any more: ${why}`);
    report.info(TAKE_ANOTHER);
    return;
  }
  report.done(
    `${name} is proven: restored, dumped again, and every byte as recorded. Tables: ${tables}, rows: ${rows}, seconds: ${seconds.toFixed(0)}`,
  );
}
