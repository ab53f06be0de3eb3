import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { backupUnderLock } from "../backup/backup.ts";
import { databaseExists } from "../server/connection.ts";
import type { RestoreOptions, Restoring, SaveFirst } from "./restoring.ts";

/** Throws a Stop that asks for a decision when what is there cannot be dumped: then there will be no backup of it. */
export async function saveFirst(
  restoring: Restoring,
  { source, shown, withoutSafetyBackup, refresh }: RestoreOptions,
): Promise<string | null> {
  restoring.report.info(`Step 1/5: safety backup of ${restoring.settings.database}`);
  if (withoutSafetyBackup) {
    restoring.report.warn(
      "No safety backup is taken, because --without-safety-backup says so: what is there is kept by the swap alone",
    );
    return null;
  }
  try {
    return await saveWhatIsThere(restoring);
  } catch (error) {
    // A full disk and a lost server have other words, and other ways out.
    const undumpable = error instanceof Stop && error.code === EXIT.failed && !restoring.lock.lost.aborted;
    if (!undumpable) throw error;
    const command = refresh ? "the same command with" : `npx budgie restore ${shown ?? source}`;
    throw new Stop(
      EXIT.notConfirmed,
      `What is there cannot be saved first: ${error.message}`,
      `The swap keeps it whole under another name, as it is. If that is enough: ${command} --without-safety-backup`,
    );
  }
}

/** Where the database is not replaced. */
export const saveNothing: SaveFirst = async ({ settings, report }) => {
  report.info(`Step 1/5: no safety backup, because ${settings.database} stays as it is`);
  return null;
};

/** Takes a backup like every other one; null when there is nothing to save. */
async function saveWhatIsThere({ settings, lock, report }: Restoring): Promise<string | null> {
  if (!(await databaseExists(lock.session, settings.database))) {
    report.info(`There is no database ${settings.database}, so there is nothing to save`);
    return null;
  }
  const options = { reason: "before-restore" as const, format: settings.format };
  const manifest = await backupUnderLock(settings, options, lock, report);
  return manifest.file;
}
