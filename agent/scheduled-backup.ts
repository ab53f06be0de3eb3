import { backup } from "./backup.ts";
import { formatOf } from "./backup-name.ts";
import { requireSent, sendCopies } from "./copies.ts";
import { drill } from "./drill.ts";
import { isBad, isProven, judge, type KeptBackup } from "./judged-backup.ts";
import { listKept } from "./kept-backups.ts";
import { prune } from "./prune.ts";
import type { Reporter } from "./reporter.ts";
import { readRunMemory, writeRunMemory } from "./run-memory.ts";
import { readSchedule } from "./schedule.ts";
import { keepSchedule } from "./schedule-loop.ts";
import { readServerFacts } from "./server.ts";
import type { AgentSettings } from "./settings.ts";

const PROVEN_FOR_MS = 7 * 24 * 3_600_000;

/** Takes the stack's backups as its schedule says, until `signal` aborts; nothing where it has none. Never throws. */
export async function keepTakingBackups(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  if (settings.schedule === null) return;
  const { expression, timeZone, jitterSeconds } = settings.schedule;
  const { format, stack } = settings;
  await keepSchedule(
    readSchedule(expression, timeZone),
    { ms: jitterSeconds * 1000, key: stack },
    {
      read: () => readRunMemory(settings),
      write: memory => writeRunMemory(settings, memory),
      hasData: () => hasData(settings),
      backup: stopped => backup(settings, { reason: "scheduled", format }, report, stopped),
      afterwards: stopped => follow(settings, report, stopped),
    },
    report,
    signal,
  );
}

/** A backup of a database that has no tables yet would be the first, and worth nothing. When it cannot be asked, it is tried. */
async function hasData(settings: AgentSettings): Promise<boolean> {
  return readServerFacts(settings).then(
    ({ tables }) => tables > 0,
    () => true,
  );
}

/**
 * Sends the backup, drills it when that is due, then prunes. In this order: a drill that finds it bad must come before an older
 * one is removed for its sake. Each is tried whatever became of the one before.
 */
async function follow(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<void> {
  const steps = [
    () => sendAll(settings, report, signal),
    () => drillWhenDue(settings, report),
    () => prune(settings, report),
  ];
  for (const step of steps) {
    if (signal.aborted) return;
    await step().catch((error: Error) => report.warn(error.message.replaceAll("\n", " ")));
  }
}

async function sendAll(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<void> {
  const sent = await sendCopies(settings, { operation: "serve", reader: null, signal }, report);
  if (!signal.aborted) requireSent(sent, report);
}

async function drillWhenDue(settings: AgentSettings, report: Reporter): Promise<void> {
  if (isDrillDue(await listKept(settings), new Date()))
    await drill(settings, { which: "latest", store: null }, report);
}

/**
 * Once a week, and when backups are made differently than those that were proven: in another format, of another version of
 * the server, by another pg_dump. So, unless within the last 7 days a drill proved one that was made as the newest, of
 * `backups`, newest first, is. A drill from the future does not count.
 */
export function isDrillDue(backups: readonly KeptBackup[], now: Date): boolean {
  const newest = backups.map(judge).find(judged => typeof judged !== "string" && !isBad(judged));
  const made = typeof newest === "object" ? howMade(newest) : null;
  return !backups.filter(isProven).some(backup => {
    const age = now.getTime() - new Date(backup.proven?.at ?? 0).getTime();
    return age >= 0 && age < PROVEN_FOR_MS && howMade(backup) === made;
  });
}

function howMade({ name, manifest }: KeptBackup): string {
  return [formatOf(name), manifest?.serverVersion, manifest?.pgDumpVersion].join(" ");
}
