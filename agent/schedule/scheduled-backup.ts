import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { BackupFormat } from "../../shared/backup-format.ts";
import { readSchedule } from "../../shared/schedule.ts";
import { beat } from "../alert/heartbeat.ts";
import { backup } from "../backup/backup.ts";
import type { Reporter } from "../base/reporter.ts";
import { isBad, isProven, isUnloadable, judgeBackup, type KeptBackup } from "../catalogue/judged-backup.ts";
import { requireSent, sendCopies } from "../copies/send.ts";
import { drill } from "../drill/drill.ts";
import { drillAt } from "../drill/drill-at.ts";
import { formatOf } from "../manifest/backup-name.ts";
import { type PointInTimeDrill, readPointInTimeDrill } from "../point-in-time/drill-record.ts";
import { recoverables } from "../point-in-time/recoverable.ts";
import { listChains, readChain } from "../point-in-time/wal-chain.ts";
import { listKept } from "../retention/kept-backups.ts";
import { prune } from "../retention/prune.ts";
import { readServerFacts } from "../server/connection.ts";
import { keepSchedule } from "./loop.ts";
import { readRunMemory, writeRunMemory } from "./run-memory.ts";

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
      name: "Scheduled backup",
      read: () => readRunMemory(settings),
      write: memory => writeRunMemory(settings, memory),
      hasData: () => hasData(settings),
      run: stopped => takeAndTell(settings, format, report, stopped),
      maySoonSucceed: () => true,
      afterwards: stopped => follow(settings, report, stopped),
    },
    report,
    signal,
  );
}

/** A first backup of a database without tables would be worth nothing. When the database cannot be asked, the backup is tried. */
async function hasData(settings: AgentSettings): Promise<boolean> {
  return readServerFacts(settings).then(
    ({ tables }) => tables > 0,
    () => true,
  );
}

/**
 * Sends the backup, drills it when a drill is due, and point in time when that is due, then prunes. The order matters: a drill that
 * finds it bad must come before an older backup is removed because of it. Each step is tried, whatever became of the one before.
 */
async function follow(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<void> {
  const steps = [
    () => sendAll(settings, report, signal),
    () => drillWhenDue(settings, report),
    () => drillAtWhenDue(settings, report),
    () => prune(settings, report),
  ];
  for (const step of steps) {
    if (signal.aborted) return;
    await step().catch((error: Error) => report.warn(error.message.replaceAll("\n", " ")));
  }
}

/** That the backup is there is not yet told: its copies are still to be sent. */
async function takeAndTell(
  settings: AgentSettings,
  format: BackupFormat,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  // Not waited for: whoever counts backups may be away, and the backup must not be late for it.
  void beat(settings, "start", "A backup begins.", report);
  try {
    await backup(settings, { reason: "scheduled", format }, report, signal);
  } catch (error) {
    if (!signal.aborted)
      await beat(settings, "wrong", `The backup failed: ${(error as Error).message}`, report);
    throw error;
  }
}

async function sendAll(settings: AgentSettings, report: Reporter, signal: AbortSignal): Promise<void> {
  try {
    const sent = await sendCopies(settings, { operation: "serve", reader: null, signal }, report);
    if (signal.aborted) return;
    requireSent(sent, report);
    const left = [...(sent.store?.missing ?? []), ...(sent.ssh?.missing ?? [])];
    if (left.length > 0) throw new Error(`${left.length} copies are still to be sent.`);
  } catch (error) {
    await beat(settings, "wrong", `The copies failed: ${(error as Error).message}`, report);
    throw error;
  }
  await beat(settings, "right", "The backup is whole, and so is every copy.", report);
}

async function drillWhenDue(settings: AgentSettings, report: Reporter): Promise<void> {
  if (isDrillDue(await listKept(settings), new Date()))
    await drill(settings, { which: "latest", copies: null }, report);
}

/** Before the first base backup has its WAL there is nothing to drill. */
async function drillAtWhenDue(settings: AgentSettings, report: Reporter): Promise<void> {
  if (!settings.pointInTime) return;
  const chains = await Promise.all((await listChains(settings)).map(readChain));
  if (recoverables(chains).length === 0) return;
  const { serverVersion } = await readServerFacts(settings);
  if (isDrillAtDue(await readPointInTimeDrill(settings), serverVersion, new Date()))
    await drillAt(settings, null, report);
}

/** After each backup while the last one failed, so that a repair shows at once. Else once a week, and after a change of version. */
export function isDrillAtDue(last: PointInTimeDrill | null, serverVersion: string, now: Date): boolean {
  if (last === null || last.outcome === "bad" || last.serverVersion !== serverVersion) return true;
  const age = now.getTime() - Date.parse(last.at);
  return age < 0 || age >= PROVEN_FOR_MS;
}

/**
 * A drill is due after each backup while the last tried one cannot be reloaded, so that a repair shows at once. Else it is due
 * unless a drill of the last 7 days proved a backup that was made like the newest one: in the same format, of the same version of
 * the server, by the same pg_dump. A drill from the future does not count.
 * @param backups newest first
 */
export function isDrillDue(backups: readonly KeptBackup[], now: Date): boolean {
  const judged = backups.map(judgeBackup).filter(found => typeof found !== "string");
  const tried = judged.find(backup => isProven(backup) || isUnloadable(backup));
  if (tried && isUnloadable(tried)) return true;
  const newest = judged.find(backup => !isBad(backup));
  const made = newest ? howMade(newest) : null;
  return !backups.filter(isProven).some(backup => {
    const age = now.getTime() - new Date(backup.proven?.at ?? 0).getTime();
    return age >= 0 && age < PROVEN_FOR_MS && howMade(backup) === made;
  });
}

function howMade({ name, manifest }: KeptBackup): string {
  return [formatOf(name), manifest?.serverVersion, manifest?.pgDumpVersion].join(" ");
}
