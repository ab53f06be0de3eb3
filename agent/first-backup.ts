import { setTimeout as delay } from "node:timers/promises";
import { backupUnderLock } from "./backup.ts";
import { sendTaken } from "./copies.ts";
import { drill } from "./drill.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { checkIdentity } from "./identity.ts";
import { isBad, isProven, type JudgedBackup, judge } from "./judged-backup.ts";
import { listKept } from "./kept-backups.ts";
import { recordRun } from "./last-run.ts";
import { withLock } from "./lock.ts";
import { totalRows } from "./manifest.ts";
import { remembersUpTo } from "./next-run.ts";
import type { Reporter } from "./reporter.ts";
import { writeRunMemory } from "./run-memory.ts";
import { readSchedule } from "./schedule.ts";
import type { ServerFacts } from "./server.ts";
import type { AgentSettings } from "./settings.ts";

const LOOK_AGAIN_MS = 1000;

/** A backup of the database that is there now, and when it was proven. */
export interface ProvenBackup {
  name: string;
  /** ISO 8601. */
  provenAt: string;
  tables: number;
  rows: number;
}

/**
 * Sees to it that the database which is there has a proven backup: takes one and drills it, unless there is one. Waits while
 * the agent's own schedule is at it. Throws a Stop when there is none in the end; a copy that could not be sent is a warning,
 * for it is tried again by itself and turns the status red.
 */
export async function proveFirstBackup(settings: AgentSettings, report: Reporter): Promise<ProvenBackup> {
  for (;;) {
    const facts = await checkIdentity(settings);
    const backups = await judgedBackups(settings, facts);
    const proven = provenBackup(backups);
    if (proven) return proven;
    try {
      // One that the agent has just taken by itself, or that a gate took before the stack was destroyed.
      const untried = untriedBackup(backups);
      if (untried) {
        await drill(settings, { which: untried, store: null }, report);
        continue;
      }
      const name = await takeOne(settings, facts, report);
      if (name === null) continue;
      await drill(settings, { which: name, store: null }, report);
      // One that was taken just now has what there is, be it nothing.
      const asTaken = { ...facts, tables: 0 };
      return requireProven(provenBackup(await judgedBackups(settings, asTaken)), name);
    } catch (error) {
      if (!(error instanceof Stop) || error.code !== EXIT.busy) throw error;
      report.info(error.message);
      await delay(LOOK_AGAIN_MS);
    }
  }
}

/**
 * Those that say something of the database that is there, newest first: none of another one, and none of before the API made
 * its tables.
 */
async function judgedBackups(settings: AgentSettings, facts: ServerFacts): Promise<JudgedBackup[]> {
  const judged = (await listKept(settings)).map(judge).filter(found => typeof found !== "string");
  return judged.filter(({ manifest }) => {
    const empty = manifest?.tables.length === 0 && facts.tables > 0;
    return manifest?.systemIdentifier === facts.systemIdentifier && !empty;
  });
}

function untriedBackup(backups: readonly JudgedBackup[]): string | undefined {
  return backups.find(backup => !isBad(backup))?.name;
}

function provenBackup(backups: readonly JudgedBackup[]): ProvenBackup | null {
  const found = backups.find(isProven);
  if (!found?.manifest || !found.proven) return null;
  const { tables } = found.manifest;
  return { name: found.name, provenAt: found.proven.at, tables: tables.length, rows: totalRows(tables) };
}

function requireProven(proven: ProvenBackup | null, name: string): ProvenBackup {
  if (proven) return proven;
  throw new Stop(
    EXIT.unusableBackup,
    `The first backup, ${name}, was taken and restored, and is not proven.`,
    "`npx budgie status` says why. `pulumi up` takes another one and tries that.",
  );
}

/**
 * Returns its name; null when there is one that somebody else took between the last look and the lock. Counts as the
 * schedule's first run, so that there are not two.
 */
async function takeOne(
  settings: AgentSettings,
  facts: ServerFacts,
  report: Reporter,
): Promise<string | null> {
  const options = { reason: "scheduled" as const, format: settings.format };
  const taken = await withLock(settings, `backup (${options.reason})`, async lock => {
    if (untriedBackup(await judgedBackups(settings, facts))) return null;
    return recordRun(settings, "backup", () => backupUnderLock(settings, options, lock, report));
  });
  if (taken === null) return null;
  await rememberRun(settings, report);
  await sendTaken(settings, taken.file, report).catch((error: Error) => report.warn(error.message));
  return taken.file;
}

async function rememberRun(settings: AgentSettings, report: Reporter): Promise<void> {
  if (settings.schedule === null) return;
  const { expression, timeZone } = settings.schedule;
  const memory = remembersUpTo(readSchedule(expression, timeZone), new Date());
  await writeRunMemory(settings, memory).catch((error: Error) =>
    report.warn(`The schedule's memory: ${error.message}`),
  );
}
