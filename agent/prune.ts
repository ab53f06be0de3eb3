import { rm } from "node:fs/promises";
import { join } from "node:path";
import { manifestName } from "./backup-name.ts";
import { judgeChains, pruneChains } from "./chain-prune.ts";
import { drillRecordName } from "./drill-record.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { globalsName } from "./globals.ts";
import { listKept } from "./kept-backups.ts";
import { withLock } from "./lock.ts";
import { pinName } from "./pins.ts";
import type { Reporter } from "./reporter.ts";
import { decideRetention, type Verdict } from "./retention.ts";
import type { AgentSettings } from "./settings.ts";

/** What retention says of every backup here, newest first. Touches nothing. */
export async function judgeAll(settings: AgentSettings, now = new Date()): Promise<Verdict[]> {
  return [...(await judgeBackups(settings, now)), ...(await judgeChains(settings, now))];
}

async function judgeBackups(settings: AgentSettings, now: Date): Promise<Verdict[]> {
  return decideRetention(await listKept(settings), settings.keep, now);
}

/**
 * DESTROYS the backups that retention lets go, and says which. Under the backups' lock, so that none is taken, saved before
 * a restore or being restored meanwhile; what is decided there is decided on what is there then. Throws a Stop.
 */
export function prune(settings: AgentSettings, report: Reporter): Promise<Verdict[]> {
  return withLock(settings, "prune", async lock => {
    const verdicts = await judgeBackups(settings, new Date());
    for (const { name, keep, reason } of verdicts) {
      if (keep) continue;
      if (lock.lost.aborted) throw lock.lost.reason;
      await removeBackup(settings, name);
      report.info(`Removed ${name}: ${reason}`);
    }
    return [...verdicts, ...(await pruneChains(settings, report))];
  });
}

/**
 * The dump first, and last what speaks for it. Killed in between, this leaves a manifest, a record or a pin without a dump:
 * none of them has a backup's name, so no list, restore or rule takes it for a backup. The other way round it would leave a
 * dump without its manifest, which is nobody's to remove any more.
 */
async function removeBackup({ backupDir, backupDirShown }: AgentSettings, name: string): Promise<void> {
  try {
    for (const file of [name, globalsName(name), manifestName(name), drillRecordName(name), pinName(name)])
      if (file !== null) await rm(join(backupDir, file), { force: true });
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `${name} could not be removed from ${backupDirShown}: ${(error as Error).message}.`,
      "See that the directory can be written, then run: npx budgie prune",
    );
  }
}
