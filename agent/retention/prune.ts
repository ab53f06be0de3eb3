import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { globalsName } from "../backup/globals.ts";
import type { Reporter } from "../base/reporter.ts";
import { drillRecordName } from "../catalogue/drill-record.ts";
import { forget } from "../catalogue/known.ts";
import { pinName } from "../catalogue/pin.ts";
import { manifestName } from "../manifest/backup-name.ts";
import { operate } from "../operation/operate.ts";
import { judgeChains, pruneChains } from "./chain-prune.ts";
import { listKept } from "./kept-backups.ts";
import { decideRetention, type Verdict } from "./retention.ts";

/** What retention says of every backup here, newest first. Touches nothing. */
export async function judgeAll(settings: AgentSettings, now = new Date()): Promise<Verdict[]> {
  return [...(await judgeBackups(settings, now)), ...(await judgeChains(settings, now))];
}

async function judgeBackups(settings: AgentSettings, now: Date): Promise<Verdict[]> {
  return decideRetention(await listKept(settings), settings.keep, now);
}

/**
 * DESTROYS the backups that retention lets go, and says which. It decides and acts under the backups' lock, so that no backup is
 * taken or restored meanwhile. Throws a Stop.
 */
export function prune(settings: AgentSettings, report: Reporter): Promise<Verdict[]> {
  return operate(settings, { kind: "prune", name: "prune" }, report, async lock => {
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
 * Removes the dump first, and then what belongs to it. A kill in between leaves a manifest, a record or a pin without a dump. None
 * of these has a backup's name, so no list, restore or rule takes it for a backup. The other way round, a kill would leave a dump
 * without its manifest, which nobody may remove any more.
 */
async function removeBackup(settings: AgentSettings, name: string): Promise<void> {
  const { backupDir, backupDirShown } = settings;
  try {
    await forget(settings, name);
    for (const file of [name, globalsName(name), manifestName(name), drillRecordName(name), pinName(name)])
      if (file !== null) await rm(join(backupDir, file), { force: true });
    await forget(settings, name);
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `${name} could not be removed from ${backupDirShown}: ${(error as Error).message}.`,
      "See that the directory can be written, then run: npx budgie prune",
    );
  }
}
