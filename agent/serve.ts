import { mkdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { agentStops, keepSendingCopies } from "./copies-loop.ts";
import { keepJudgingHealth } from "./health.ts";
import { removeLeftoverSecrets } from "./kept-secret.ts";
import { keepPointInTime } from "./point-in-time.ts";
import { terminalReporter } from "./reporter.ts";
import { keepTakingBackups } from "./scheduled-backup.ts";
import type { AgentSettings } from "./settings.ts";
import { clearThrowawayPlaces } from "./throwaway-place.ts";
import { removeAbandonedScratch } from "./unpacked-directory.ts";

/** How long a backup or a copy that is being made gets to end tidily. What is cut off is made up for at the next start. */
const LAST_MOMENTS_MS = 5000;

/** Takes the backups that are due, sends copies, receives WAL, and keeps the agent's container alive for the commands that are run in it, until it is told to stop. */
export async function serve(settings: AgentSettings): Promise<void> {
  const report = terminalReporter(false);
  await mkdir(settings.backupDir, { recursive: true, mode: 0o700 });
  await clearThrowawayPlaces().catch((error: Error) => report.warn(error.message));
  await removeAbandonedScratch().catch((error: Error) => report.warn(error.message));
  await removeLeftoverSecrets();
  report.info(
    `Backup agent of stack ${settings.stack}: ${settings.database} at ${settings.host}, backups in ${settings.backupDirShown}`,
  );
  const stop = new AbortController();
  const sending = keepSendingCopies(settings, report, stop.signal);
  const backingUp = keepTakingBackups(settings, report, stop.signal);
  void keepJudgingHealth(settings, stop.signal);
  const receiving = keepPointInTime(settings, report, stop.signal);
  const keepAlive = setInterval(() => undefined, 1 << 30);
  await new Promise<void>(resolve => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  stop.abort(agentStops());
  await Promise.race([
    Promise.all([sending, backingUp, receiving]),
    delay(LAST_MOMENTS_MS, undefined, { ref: false }),
  ]);
  clearInterval(keepAlive);
  report.info("Backup agent stopped");
}
