import { backup } from "./backup.ts";
import { requireSent, sendCopies } from "./copies.ts";
import { drill } from "./drill.ts";
import { isProven, type KeptBackup } from "./judged-backup.ts";
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

/** Once a week: when the newest drill that proved a backup is more than 7 days old, or from the future, or there is none. */
export function isDrillDue(backups: readonly KeptBackup[], now: Date): boolean {
  return !backups.filter(isProven).some(({ proven }) => {
    const age = now.getTime() - new Date(proven?.at ?? 0).getTime();
    return age >= 0 && age < PROVEN_FOR_MS;
  });
}
