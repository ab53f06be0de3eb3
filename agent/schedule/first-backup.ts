import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { readSchedule } from "../../shared/schedule.ts";
import { backupOperation, backupUnderLock } from "../backup/backup.ts";
import type { Reporter } from "../base/reporter.ts";
import { shownMinute } from "../base/shown-moment.ts";
import { acceptedSince } from "../catalogue/accepted-unproven.ts";
import { listBackups } from "../catalogue/catalogue.ts";
import { checkIdentity } from "../catalogue/identity.ts";
import { isBad, isProven, isUnloadable, type JudgedBackup, judgeBackup } from "../catalogue/judged-backup.ts";
import { repairLines, unloadableNow } from "../catalogue/unloadable-now.ts";
import { sendTaken } from "../copies/send.ts";
import { drill } from "../drill/drill.ts";
import { totalRows } from "../manifest/manifest.ts";
import { operate } from "../operation/operate.ts";
import { listKept } from "../retention/kept-backups.ts";
import type { ServerFacts } from "../server/connection.ts";
import { remembersUpTo } from "./next-run.ts";
import { writeRunMemory } from "./run-memory.ts";

const LOOK_AGAIN_MS = 1000;

/**
 * A backup of the database that is there now. It says when it was proven, or since when the operator accepts that it cannot be
 * proven, and why it cannot.
 */
export type FirstBackup = {
  name: string;
  tables: number;
  rows: number;
} & ({ provenAt: string } | { acceptedAt: string; why: string });

/**
 * Sees to it that the database which is there has a proven backup: takes one and drills it, unless there is one. Waits while
 * the agent's own schedule takes one. Throws a Stop when there is no proven backup in the end, unless the operator has accepted
 * the very reason. A copy that could not be sent is a warning: it is tried again by itself, and turns the status red.
 */
export async function proveFirstBackup(settings: AgentSettings, report: Reporter): Promise<FirstBackup> {
  for (;;) {
    const facts = await checkIdentity(settings);
    const backups = await judgedBackups(settings, facts);
    const found = provenBackup(backups) ?? (await acceptedBackup(settings, backups, report));
    if (found) return found;
    try {
      // The agent may have just taken it by itself, or a gate before the stack was destroyed.
      const untried = untriedBackup(backups);
      if (untried) {
        await drill(settings, { which: untried, copies: null }, report);
        continue;
      }
      const name = await takeOne(settings, facts, report);
      if (name === null) continue;
      await drill(settings, { which: name, copies: null }, report);
      // A backup that was taken just now holds what there is, even if that is nothing.
      const judged = await judgedBackups(settings, { ...facts, tables: 0 });
      return (
        provenBackup(judged) ??
        (await acceptedBackup(settings, judged, report)) ??
        (await refuseUnproven(settings, name))
      );
    } catch (error) {
      if (!(error instanceof Stop) || error.code !== EXIT.busy) throw error;
      report.info(error.message);
      await delay(LOOK_AGAIN_MS);
    }
  }
}

/**
 * The backups that say something of the database that is there, newest first: not those of another database, and not those from
 * before the API made its tables.
 */
async function judgedBackups(settings: AgentSettings, facts: ServerFacts): Promise<JudgedBackup[]> {
  const judged = (await listKept(settings)).map(judgeBackup).filter(found => typeof found !== "string");
  return judged.filter(({ manifest }) => {
    const empty = manifest?.tables.length === 0 && facts.tables > 0;
    return manifest?.systemIdentifier === facts.systemIdentifier && !empty;
  });
}

/** Not one that is older than one that cannot be reloaded: it would say nothing of the database as it is. */
function untriedBackup(backups: readonly JudgedBackup[]): string | undefined {
  const unloadable = backups.findIndex(isUnloadable);
  return backups.slice(0, unloadable < 0 ? backups.length : unloadable).find(backup => !isBad(backup))?.name;
}

function provenBackup(backups: readonly JudgedBackup[]): FirstBackup | null {
  const found = backups.find(isProven);
  return found?.manifest && found.proven ? { ...whatIsIn(found), provenAt: found.proven.at } : null;
}

/** The newest one, when a drill has found that it cannot be reloaded, and the operator has accepted the reason. */
async function acceptedBackup(
  settings: AgentSettings,
  backups: readonly JudgedBackup[],
  report: Reporter,
): Promise<FirstBackup | null> {
  const unloadable = unloadableNow(await listBackups(settings));
  const found = backups.find(({ name }) => name === unloadable?.name);
  if (!unloadable || !found || untriedBackup(backups)) return null;
  const acceptedAt = await acceptedSince(settings, unloadable);
  if (acceptedAt === null) return null;
  report.warn(`WARNING: no backup of this database is proven. ${unloadable.name}: ${unloadable.why}.`);
  for (const line of repairLines(unloadable)) report.warn(line);
  return { ...whatIsIn(found), acceptedAt, why: unloadable.why };
}

function whatIsIn({ name, manifest }: JudgedBackup): Pick<FirstBackup, "name" | "tables" | "rows"> {
  const tables = manifest?.tables ?? [];
  return { name, tables: tables.length, rows: totalRows(tables) };
}

async function refuseUnproven(settings: AgentSettings, name: string): Promise<never> {
  const unloadable = unloadableNow(await listBackups(settings));
  if (unloadable === null) {
    throw new Stop(
      EXIT.unusableBackup,
      `The first backup, ${name}, was taken and restored, and is not proven.`,
      "`npx budgie status` says why. `npm run pulumi -- up` takes another one and tries that.",
    );
  }
  throw new Stop(
    EXIT.unusableBackup,
    `The first backup, ${name}, is whole, and cannot be reloaded as it is: ${unloadable.why}.`,
    [
      ...repairLines(unloadable),
      "Or go on without a proven backup, for this one reason: npx budgie accept-unproven",
    ].join("\n    "),
  );
}

/** One line, for `pulumi up` and its outputs. */
export function describeFirstBackup(backup: FirstBackup): string {
  const { name, tables, rows } = backup;
  const content = `(tables: ${tables}, rows: ${rows})`;
  return "provenAt" in backup
    ? `${name}, proven ${shownMinute(new Date(backup.provenAt))} by restoring it ${content}`
    : `${name}, NOT PROVEN, as accepted ${shownMinute(new Date(backup.acceptedAt))}: ${backup.why} ${content}`;
}

/**
 * Takes a backup and returns its name. Null when somebody else took one between the last look and the lock. It counts as the
 * schedule's first run, so that there are not two.
 */
async function takeOne(
  settings: AgentSettings,
  facts: ServerFacts,
  report: Reporter,
): Promise<string | null> {
  const options = { reason: "scheduled" as const, format: settings.format };
  const taken = await operate(settings, backupOperation(options.reason), report, async lock => {
    if (untriedBackup(await judgedBackups(settings, facts))) return null;
    return backupUnderLock(settings, options, lock, report);
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
