import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { requireGlobals } from "../backup/globals.ts";
import type { Reporter } from "../base/reporter.ts";
import { type BackupSource, findBackup } from "../catalogue/backup-source.ts";
import { listBackups } from "../catalogue/catalogue.ts";
import { type DrillRecord, drillOutcome, forgetDrill, saveDrillOutcome } from "../catalogue/drill-record.ts";
import { inspectDump, requireWhole } from "../dump/inspect.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { isInCatalogue } from "./source.ts";
import { tellNotGood, tellWhole, type Verified } from "./verified.ts";

/** Reads every byte of one backup, of the newest, or of all, and compares with the manifest. Touches no database. */
export async function verify(settings: AgentSettings, which: string, report: Reporter): Promise<Verified[]> {
  const backups =
    which === "all"
      ? (await listBackups(settings)).map(entry => ({ ...entry, path: join(settings.backupDir, entry.name) }))
      : [await findBackup(settings, which)];
  const results: Verified[] = [];
  for (const backup of backups) results.push(await verifyOne(settings, backup, report));
  return results;
}

async function verifyOne(settings: AgentSettings, backup: BackupSource, report: Reporter): Promise<Verified> {
  const { name, path, manifest } = backup;
  const shown = `${settings.backupDirShown}/${name}`;
  const progress = report.progress("reading", manifest?.bytes ?? null);
  try {
    const dump = await remembered(settings, backup, async () => {
      const read = await inspectDump(path, shown, progress);
      requireWhole(read, shown, manifest);
      return read;
    });
    await requireGlobals(path, manifest);
    progress.end();
    return tellWhole(backup, dump, report);
  } catch (error) {
    progress.end();
    if (!(error instanceof Stop)) throw error;
    return tellNotGood(name, error.message, report);
  }
}

/**
 * Records in the catalogue that a backup of this stack's own is damaged, as a drill would: it does not count until its file is whole
 * again. What cannot be read at all says nothing of the backup, and is not recorded.
 */
async function remembered<T>(
  settings: AgentSettings,
  backup: BackupSource,
  read: () => Promise<T>,
): Promise<T> {
  const { name, manifest, authentic } = backup;
  const counts = manifest !== null && authentic && isInCatalogue(settings, backup);
  try {
    const whole = await read();
    if (counts && (await foundDamaged(settings, name, manifest))) await forgetDrill(settings, name);
    return whole;
  } catch (error) {
    if (counts && error instanceof Stop && error.code === EXIT.unusableBackup) {
      const { contentSha256 } = manifest;
      const at = new Date().toISOString();
      const why = error.message.replace(/\.$/, "");
      const found: DrillRecord = { at, by: "verify", outcome: "bad", why, repair: [], contentSha256 };
      await saveDrillOutcome(settings, name, found);
    }
    throw error;
  }
}

async function foundDamaged(settings: AgentSettings, name: string, manifest: Manifest): Promise<boolean> {
  const outcome = await drillOutcome(settings, name, manifest);
  return outcome !== null && outcome !== "unreadable" && outcome.by === "verify";
}
