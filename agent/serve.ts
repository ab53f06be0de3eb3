import { mkdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../shared/agent-settings.ts";
import { alertOn } from "./alert/watch.ts";
import { signOlderManifests } from "./backup/sign-older.ts";
import { removeLeftoverSecrets } from "./base/kept-secret.ts";
import { logReporter } from "./base/log-reporter.ts";
import { type Reporter, terminalReporter } from "./base/reporter.ts";
import { agentStops, keepSendingCopies } from "./copies/loop.ts";
import { removeAbandonedScratch } from "./dump/unpacked-directory.ts";
import { clearAtStart } from "./operation/operate.ts";
import { keepPointInTime } from "./point-in-time/keep-chain.ts";
import { keepTakingBackups } from "./schedule/scheduled-backup.ts";
import { keepRefreshing } from "./schedule/scheduled-refresh.ts";
import type { Board } from "./show/board.ts";
import { listen } from "./show/listen.ts";
import { readPlotFiles } from "./show/plot-files.ts";
import { shownBackups } from "./show/shown-backups.ts";
import { keepJudgingHealth } from "./status/health.ts";
import { clearLeftPlaces } from "./throwaway/place.ts";

/** How long a backup or a copy may take to end tidily. The next start makes up for what is cut off. */
const LAST_MOMENTS_MS = 5000;

/**
 * Runs until it is told to stop: clears away what killed operations have left, takes the backups that are due, refreshes the stack where
 * it is to be refreshed, sends copies, receives WAL, and signs manifests that are older than the stack's key. The container lives as
 * long, so that commands can be run in it.
 */
export async function serve(settings: AgentSettings): Promise<void> {
  const report = process.stdout.isTTY ? terminalReporter(false) : logReporter(settings.stack);
  await mkdir(settings.backupDir, { recursive: true, mode: 0o700 });
  await clearLeftPlaces().catch((error: Error) => report.warn(error.message));
  await removeAbandonedScratch().catch((error: Error) => report.warn(error.message));
  await removeLeftoverSecrets();
  report.info(
    `Backup agent of stack ${settings.stack}: ${settings.database} at ${settings.host}, backups in ${settings.backupDirShown}`,
  );
  const stop = new AbortController();
  const clearing = clearAtStart(settings, report, stop.signal);
  const sending = keepSendingCopies(settings, report, stop.signal);
  const backingUp = keepTakingBackups(settings, report, stop.signal);
  const refreshing = keepRefreshing(settings, report, stop.signal);
  const signing = signOlderManifests(settings, report, stop.signal);
  const board: Board = { seen: null };
  await showBoard(settings, board, report);
  void keepJudgingHealth(settings, stop.signal, async status => {
    board.seen = { status, backups: await shownBackups(settings) };
    await alertOn(settings, status, report);
  });
  const receiving = keepPointInTime(settings, report, stop.signal);
  const keepAlive = setInterval(() => undefined, 1 << 30);
  await new Promise<void>(resolve => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  stop.abort(agentStops());
  await Promise.race([
    Promise.all([clearing, sending, backingUp, refreshing, receiving, signing]),
    delay(LAST_MOMENTS_MS, undefined, { ref: false }),
  ]);
  clearInterval(keepAlive);
  report.info("Backup agent stopped");
}

/** A port that is taken is no reason to take no backups. */
async function showBoard({ statusPort }: AgentSettings, board: Board, report: Reporter): Promise<void> {
  if (statusPort === null) return;
  try {
    await listen(statusPort, board, await readPlotFiles());
    report.info(`How things stand: http://localhost:${statusPort}`);
  } catch (error) {
    report.warn(`How things stand cannot be shown on port ${statusPort}: ${(error as Error).message}`);
  }
}
