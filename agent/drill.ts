import { access } from "node:fs/promises";
import { join } from "node:path";
import { findBackup } from "./backup-source.ts";
import { saveDrillOutcome } from "./drill-record.ts";
import { refuse } from "./dump-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { recordRun } from "./last-run.ts";
import { totalRows } from "./manifest.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { withThrowawayPlace } from "./throwaway-place.ts";
import { type DrillSource, tryBackup, type Verdict } from "./try-backup.ts";

export interface Drilled extends Verdict {
  name: string;
  tables: number;
  rows: number;
  seconds: number;
}

/**
 * Proves a backup (a name, a path, `latest`) by restoring it into a throw-away server, and records how that came out. The
 * live database is asked once what it is like and otherwise left alone, so no lock is taken: backups and restores go on
 * meanwhile. Only one drill runs at a time.
 *
 * Returns a verdict, good or bad. Throws a Stop when none was reached (no disk space, stopped, another version): then what
 * was known of the backup stays.
 */
export function drill(settings: AgentSettings, which: string, report: Reporter): Promise<Drilled> {
  const startedAt = new Date();
  return withThrowawayPlace("drill", `drill since ${startedAt.toISOString()}`, place =>
    recordRun(
      settings,
      "drill",
      async () => {
        const source = await sourceOf(settings, which);
        const verdict = await tryBackup(settings, place, source, report);
        await record(settings, source, verdict);
        const { tables } = source.manifest;
        const drilled = {
          name: source.name,
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

async function sourceOf(settings: AgentSettings, which: string): Promise<DrillSource> {
  const { name, path, manifest } = await findBackup(settings, which);
  const shown = inDirectory(settings, { name, path }) ? `${settings.backupDirShown}/${name}` : path;
  await access(path).catch(() => {
    throw refuse(`${shown} does not exist`);
  });
  if (!manifest) {
    throw refuse(
      `${name} has no manifest, so there is nothing to compare it with`,
      "Drill a backup that has one: `npx budgie list` shows them.",
    );
  }
  return { name, path, shown, manifest };
}

/** Only what lies in the backup directory is in the catalogue, and can count or not. */
async function record(settings: AgentSettings, source: DrillSource, verdict: Verdict): Promise<void> {
  if (!inDirectory(settings, source)) return;
  const { contentSha256 } = source.manifest;
  const at = new Date().toISOString();
  try {
    await saveDrillOutcome(settings, source.name, { at, ...verdict, contentSha256 });
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `${source.name} came out ${verdict.outcome}, and this could not be recorded in ${settings.backupDirShown}: ${(error as Error).message}.`,
      "See that the directory can be written, then run the same command again.",
    );
  }
}

function inDirectory({ backupDir }: AgentSettings, { name, path }: { name: string; path: string }): boolean {
  return path === join(backupDir, name);
}

function say({ name, why, tables, rows, seconds }: Drilled, report: Reporter): void {
  if (why !== null) {
    report.warn(`${name} is bad, and does not count any more: ${why}`);
    report.info("Take a new backup: npx budgie backup");
    return;
  }
  report.done(
    `${name} is proven: restored, dumped again, and every byte as recorded. Tables: ${tables}, rows: ${rows}, seconds: ${seconds.toFixed(0)}`,
  );
}
