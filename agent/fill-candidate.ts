import { Writable } from "node:stream";
import { analyze } from "./analyze.ts";
import { backupUnderLock } from "./backup.ts";
import { carryOver, loadCandidate } from "./candidate.ts";
import { type Comparison, compareDumps } from "./compare.ts";
import { dump } from "./dump.ts";
import type { ReadDump } from "./dump-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Lock } from "./lock.ts";
import { refuse } from "./refuse.ts";
import { type Reporter, withoutProgress } from "./reporter.ts";
import type { RestoreSource } from "./restore-source.ts";
import { databaseExists } from "./server.ts";
import type { AgentSettings } from "./settings.ts";

export interface Filled {
  /** The safety backup's name; null when there was no database to save. */
  safetyBackup: string | null;
  loaded: ReadDump["fingerprint"];
  comparison: Comparison;
}

/**
 * Everything between an empty candidate and the swap. The safety backup only reads the live database and the load only
 * writes the candidate, so they go on side by side; the first to fail ends the other. There is no swap without both.
 */
export async function fillCandidate(
  settings: AgentSettings,
  source: RestoreSource,
  before: ReadDump,
  candidate: string,
  lock: Lock,
  report: Reporter,
): Promise<Filled> {
  const failed = new AbortController();
  const endBoth = (error: unknown) => {
    failed.abort(error);
    throw error;
  };
  const shared = { ...lock, lost: AbortSignal.any([lock.lost, failed.signal]) };
  report.info(`Step 1/5: safety backup of ${settings.database}`);
  report.info(`Step 2/5: loading ${source.name} beside it meanwhile, as ${candidate}`);
  const [saved] = await Promise.allSettled([
    // One bar on the terminal is enough: the load's, which takes longer.
    saveWhatIsThere(settings, shared, withoutProgress(report)).catch(endBoth),
    load(source, before, candidate, shared, report).catch(endBoth),
  ]);
  failed.signal.throwIfAborted();
  if (saved.status === "rejected") throw saved.reason;
  report.info("Step 3/5: comparing what was loaded with the backup, table by table");
  return { safetyBackup: saved.value, ...(await compare(settings, source, before, candidate, lock, report)) };
}

async function saveWhatIsThere(
  settings: AgentSettings,
  lock: Lock,
  report: Reporter,
): Promise<string | null> {
  if (!(await databaseExists(lock.session, settings.database))) {
    report.info(`There is no database ${settings.database}, so there is nothing to save`);
    return null;
  }
  const options = { reason: "before-restore" as const, format: settings.format };
  const manifest = await backupUnderLock(settings, options, lock, report);
  return manifest.file;
}

async function load(
  source: RestoreSource,
  before: ReadDump,
  candidate: string,
  lock: Lock,
  report: Reporter,
): Promise<void> {
  const progress = report.progress("loading", before.bytes);
  const fed = await loadCandidate(candidate, source.path, source.shown, progress, lock.lost).finally(() =>
    progress.end(),
  );
  if (fed !== before.sha256) throw refuse(`${source.shown} changed while it was being read`);
}

async function compare(
  settings: AgentSettings,
  source: RestoreSource,
  before: ReadDump,
  candidate: string,
  lock: Lock,
  report: Reporter,
): Promise<Omit<Filled, "safetyBackup">> {
  const progress = report.progress("comparing", before.fingerprint.bytes);
  const nowhere = new Writable({ write: (_chunk, _encoding, next) => next() });
  const dumping = dump(candidate, [nowhere], lock.lost, bytes => progress.at(bytes));
  const [restored] = await Promise.all([dumping, analyze(settings, candidate, lock, dumping)]).finally(() =>
    progress.end(),
  );
  const comparison = compareDumps(before.fingerprint, restored, source.manifest !== null);
  if (comparison.differences.length > 0) {
    throw new Stop(
      EXIT.comparisonDiffers,
      `What was loaded is not what ${source.name} holds: ${comparison.differences.join("; ")}. The database is as it was.`,
      "Use another backup: `npx budgie list` shows them.",
    );
  }
  for (const what of comparison.notCompared) report.warn(`Not compared: ${what}`);
  await carryOver(lock.session, settings, candidate);
  return { loaded: restored, comparison };
}
