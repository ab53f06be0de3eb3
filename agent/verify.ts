import { join } from "node:path";
import { findBackup } from "./backup-source.ts";
import { listBackups } from "./catalogue.ts";
import { inspectDump, requireWhole } from "./dump-file.ts";
import { Stop } from "./exit-codes.ts";
import { requireGlobals } from "./globals.ts";
import { type Manifest, totalRows } from "./manifest.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";

export interface Verified {
  name: string;
  good: boolean;
  /** Why it is not; null when it is. */
  why: string | null;
}

/** Reads every byte of one backup, of the newest, or of all, and compares with the manifest. Touches no database. */
export async function verify(settings: AgentSettings, which: string, report: Reporter): Promise<Verified[]> {
  const backups =
    which === "all"
      ? (await listBackups(settings)).map(entry => ({ ...entry, path: join(settings.backupDir, entry.name) }))
      : [await findBackup(settings, which)];
  const results: Verified[] = [];
  for (const { name, path, manifest } of backups)
    results.push(await verifyOne(settings, name, path, manifest, report));
  return results;
}

async function verifyOne(
  settings: AgentSettings,
  name: string,
  path: string,
  manifest: Manifest | null,
  report: Reporter,
): Promise<Verified> {
  const shown = `${settings.backupDirShown}/${name}`;
  const progress = report.progress("reading", manifest?.bytes ?? null);
  try {
    const dump = await inspectDump(path, shown, progress);
    requireWhole(dump, shown, manifest);
    await requireGlobals(path, manifest);
    progress.end();
    const { tables } = dump.fingerprint;
    const said = `${tables.length} tables, ${totalRows(tables)} rows, ${humanSize(dump.bytes)}`;
    if (!manifest) {
      report.warn(`${name}: whole (${said}), but without a manifest there is nothing to compare it with`);
      return { name, good: false, why: "no manifest" };
    }
    report.done(`${name}: ${said}, all as recorded`);
    return { name, good: true, why: null };
  } catch (error) {
    progress.end();
    if (!(error instanceof Stop)) throw error;
    report.warn(error.message);
    return { name, good: false, why: error.message };
  }
}
