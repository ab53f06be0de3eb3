import { type CatalogueEntry, listBackups, newestGood } from "./catalogue.ts";
import { type CopiesStatus, copiesWarnings, readCopiesStatus } from "./copies-status.ts";
import { freeBytes, RESERVED_BYTES } from "./durable-file.ts";
import { Stop } from "./exit-codes.ts";
import { checkIdentity } from "./identity.ts";
import { type LastRun, readLastRun } from "./last-run.ts";
import { lockHolder } from "./lock.ts";
import {
  type PointInTimeStatus,
  pointInTimeWarnings,
  readPointInTimeStatus,
} from "./point-in-time-status.ts";
import { type NextBackup, readNextBackup, scheduleWarnings, staleBefore } from "./schedule-status.ts";
import { connectToMaintenance } from "./server.ts";
import type { AgentSettings } from "./settings.ts";
import { previousDatabases } from "./swap.ts";
import { userOfPlace } from "./throwaway-place.ts";

export interface Status extends CopiesStatus {
  fine: boolean;
  /** One sentence for each thing that is not as it should be, worst first. */
  problems: string[];
  /** One sentence for each thing that is as it was set up, and less safe than it could be. */
  warnings: string[];
  stack: string;
  database: { name: string; systemIdentifier: string; bytes: number; tables: number } | null;
  /** Databases that restores set aside. */
  previousDatabases: string[];
  backups: {
    directory: string;
    count: number;
    freeBytes: number;
    newest: { name: string; finishedAt: string; bytes: number } | null;
  };
  lastRun: LastRun | null;
  /** When the next backup starts by itself. */
  next: NextBackup;
  /** How far the database can be gone back to any moment; null where the stack has it switched off. */
  pointInTime: PointInTimeStatus | null;
}

/** Asks everything that can be asked; what does not answer is a problem, never left out. */
export async function readStatus(settings: AgentSettings, now = new Date()): Promise<Status> {
  const problems: string[] = [];
  const database = await attempt(problems, async () => {
    const facts = await checkIdentity(settings);
    const { systemIdentifier, databaseBytes, tables } = facts;
    return { name: settings.database, systemIdentifier, bytes: databaseBytes, tables };
  });
  const server = await attempt(problems, () => askServer(settings));
  const newest = await attempt(problems, () => newestGood(settings));
  const all = (await attempt(problems, () => listBackups(settings))) ?? [];
  const free = (await attempt(problems, () => freeBytes(settings.backupDir))) ?? 0;
  const lastRun = await readLastRun(settings);
  problems.push(
    ...judgeBackups(newest?.manifest.finishedAt ?? null, now, staleBefore(settings, now)),
    ...(lastRun?.outcome === "running" && server?.atWork ? [] : judgeLastRun(lastRun)),
  );
  const drilling = await userOfPlace("drill");
  if (drilling === null) problems.push(...judgeLastRun(await readLastRun(settings, "drill")));
  const flawed = all.filter(entry => entry.flaw !== null);
  const bad = flawed.filter(entry => !isOfAnotherDatabase(entry));
  if (bad.length > 0) problems.push(`These files do not count as backups: ${flawsOf(bad)}.`);
  const copies = await attempt(problems, () => readCopiesStatus(settings, problems, now));
  const next = await attempt(problems, () => readNextBackup(settings, problems, now));
  const pointInTime = await attempt(problems, () => readPointInTimeStatus(settings, problems, now));
  if (free < 2 * RESERVED_BYTES) problems.push(`The disk with ${settings.backupDirShown} is nearly full.`);
  return {
    fine: problems.length === 0,
    problems: [...new Set(problems)],
    warnings: [
      ...scheduleWarnings(settings),
      ...copiesWarnings(settings),
      ...strangers(flawed),
      ...pointInTimeWarnings(pointInTime, now),
    ],
    stack: settings.stack,
    database,
    previousDatabases: server?.aside ?? [],
    backups: {
      directory: settings.backupDirShown,
      count: all.length - flawed.length,
      freeBytes: free,
      newest: newest && { name: newest.name, finishedAt: newest.manifest.finishedAt, bytes: newest.bytes },
    },
    lastRun,
    next,
    pointInTime,
    offsite: copies?.offsite ?? null,
    offsiteSsh: copies?.offsiteSsh ?? null,
  };
}

/** A restore over another database saves that one first. It is a good backup, kept for whoever may miss it. */
function isOfAnotherDatabase({ manifest }: CatalogueEntry): boolean {
  return manifest?.identity === "unexpected";
}

function strangers(flawed: readonly CatalogueEntry[]): string[] {
  const found = flawed.filter(isOfAnotherDatabase);
  return found.length === 0
    ? []
    : [`Kept, though never the latest: ${flawsOf(found)}. Remove what you do not want.`];
}

function flawsOf(entries: readonly CatalogueEntry[]): string {
  return entries.map(({ name, flaw }) => `${name} (${flaw})`).join(", ");
}

/** `oldest`: a newest backup from before it is too old. */
export function judgeBackups(newestAt: string | null, now: Date, oldest: Date): string[] {
  if (newestAt === null) return ["There is no backup. Take one: npx budgie backup"];
  const age = now.getTime() - new Date(newestAt).getTime();
  if (age < -60_000)
    return [`The newest backup is from the future (${newestAt}): the clock is, or was, wrong.`];
  if (new Date(newestAt) >= oldest) return [];
  return [`The newest backup is ${Math.floor(age / 3_600_000)} hours old. Take one: npx budgie backup`];
}

export function judgeLastRun(run: LastRun | null): string[] {
  if (run?.outcome === "failed") return [`The last ${run.operation} failed: ${run.message}`];
  if (run?.outcome === "running")
    return [
      `The last ${run.operation}, of ${run.startedAt}, has not ended; if none is at work, it was killed.`,
    ];
  return [];
}

/** The databases that restores set aside, and whether an operation is at work at this moment. */
async function askServer(settings: AgentSettings): Promise<{ aside: string[]; atWork: boolean }> {
  const session = await connectToMaintenance(settings, "budgie status");
  try {
    const aside = await previousDatabases(session, settings.database);
    return { aside, atWork: (await lockHolder(session)) !== null };
  } finally {
    await session.end();
  }
}

async function attempt<T>(problems: string[], work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const next = error instanceof Stop && error.next ? ` ${error.next}` : "";
    problems.push(`${(error as Error).message}${next}`);
    return null;
  }
}
