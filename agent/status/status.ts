import type { AgentSettings } from "../../shared/agent-settings.ts";
import { Stop } from "../../shared/exit-codes.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { SLOT } from "../../shared/replication-slot.ts";
import { RESERVED_BYTES } from "../../shared/reserved-bytes.ts";
import { type LineId, type StatusLine, type Verdict, verdictOf } from "../../shared/status-lines.ts";
import { askingOnce } from "../base/asked-once.ts";
import { freeBytes } from "../base/durable-file.ts";
import { listBackups, newestTaken } from "../catalogue/catalogue.ts";
import { checkIdentity } from "../catalogue/identity.ts";
import { newestRun, readLastRuns } from "../catalogue/last-run.ts";
import { copiesWarnings, readCopiesStatus } from "../copies/status.ts";
import { pointInTimeWarnings, readPointInTimeStatus } from "../point-in-time/status.ts";
import { describePrepared, describeSlot } from "../restore/in-the-way.ts";
import { userOfPlace } from "../throwaway/place.ts";
import { askServer } from "./ask-server.ts";
import type { Facts } from "./facts.ts";
import { emptyFiling, under } from "./filing.ts";
import { judgeFlawed, judgeUnloadable } from "./judge-files.ts";
import { judgeLastRun, judgeLastRuns, judgeLeftovers } from "./judge-runs.ts";
import { judgeLastLook, readLastLook } from "./last-look.ts";
import { allIsWell, linesOf } from "./lines.ts";
import { judgeMissing } from "./missing.ts";
import { noteSetAside } from "./note-set-aside.ts";
import { newestProven, noteProof, recoveryOf, shownNewest } from "./recovery.ts";
import { readRefreshStatus } from "./refresh-status.ts";
import { judgeReplicas } from "./replicas.ts";
import { judgeBackups, readNextBackup, scheduleWarnings, staleBefore } from "./schedule-status.ts";
import { judgePages, judgeSlots, noteConnections } from "./server-figures.ts";
import { noteSizeDrop } from "./size-drop.ts";
import { readTold } from "./told.ts";

/** Everything that is seen of a stack, from inside its agent: docs/status.md. */
export interface Status extends Facts {
  /** What the whole comes to: the worst of the lines. */
  verdict: Verdict;
  /** One line for each thing that was looked at. */
  lines: StatusLine[];
  fine: boolean;
  /** How the sentence ends that says so. */
  allIsWell: string;
}

/** Asks everything that can be asked. What does not answer is a problem, and never left out. */
export function readStatus(settings: AgentSettings, now = new Date()): Promise<Status> {
  return askingOnce(() => lookAtAll(settings, now));
}

async function lookAtAll(settings: AgentSettings, now: Date): Promise<Status> {
  const filing = emptyFiling();
  const { problems, warnings } = filing;
  const ask = <T>(line: LineId, work: () => Promise<T>) => under(filing, line, () => attempt(problems, work));
  const database = await ask("database", async () => {
    const facts = await checkIdentity(settings);
    const { systemIdentifier, databaseBytes, tables } = facts;
    return { name: settings.database, systemIdentifier, bytes: databaseBytes, tables };
  });
  const server = await ask("database", () => askServer(settings));
  await under(filing, "database", () => void problems.push(...(server?.crowd ?? [])));
  const newest = await ask("backup", () => newestTaken(settings));
  const listed = await ask("catalogue", () => listBackups(settings));
  const all = listed ?? [];
  const free = await ask("disk", () => freeBytes(settings.backupDir));
  const runs = await readLastRuns(settings);
  await under(filing, "backup", () => {
    problems.push(
      ...judgeBackups(newest?.manifest.finishedAt ?? null, now, staleBefore(settings, now)),
      ...judgeLastRuns({ ...runs, drill: null }, { underLock: server?.atWork ?? false, drill: false }),
      ...judgeLeftovers(server?.left ?? []),
    );
  });
  await under(filing, "backup", () => void warnings.push(...noteSizeDrop(all)));
  const drilling = await userOfPlace("drill");
  await under(filing, "proven", () => {
    problems.push(...judgeLastRun(runs.drill, drilling !== null));
  });
  const flawed = all.filter(entry => entry.flaw !== null);
  const slots = server?.slots ?? [];
  const figures = server?.figures ?? null;
  await under(filing, "slots", () => {
    const others = judgeSlots(figures?.slots ?? [], [
      ...slots.map(({ slot }) => slot),
      ...(settings.pointInTime ? [SLOT] : []),
    ]);
    problems.push(...slots.filter(({ lost }) => !lost).map(describeSlot), ...others.problems);
    warnings.push(...slots.filter(({ lost }) => lost).map(describeSlot), ...others.notes);
  });
  await under(filing, "replicas", () => {
    const judged = judgeReplicas(figures?.replicas ?? [], replicaLogs(settings));
    problems.push(...judged.problems);
    warnings.push(...judged.notes);
  });
  await under(filing, "catalogue", async () => {
    const judged = judgeFlawed(flawed, newest?.name);
    problems.push(...judged.problems);
    problems.push(...((await attempt(problems, () => judgeMissing(settings))) ?? []));
    warnings.push(...judged.warnings, ...noteSetAside(server?.aside ?? [], now));
  });
  await under(filing, "proven", async () => {
    const unloadable = await judgeUnloadable(settings, all);
    problems.push(...unloadable.problems);
    warnings.push(...unloadable.warnings);
    if (unloadable.problems.length === 0 && unloadable.warnings.length === 0)
      warnings.push(...noteProof(all, now));
  });
  const copies = await ask("copies", () => readCopiesStatus(settings, problems, now));
  const next = await ask("schedule", () => readNextBackup(settings, problems, now));
  const refresh = await ask("refresh", () =>
    readRefreshStatus(settings, { last: runs.refresh, atWork: server?.atWork ?? false }, problems, now),
  );
  const drillingAt = await userOfPlace("drill-at");
  await under(filing, "point-in-time", () => {
    if (settings.pointInTime) problems.push(...judgeLastRun(runs.moment, drillingAt !== null));
  });
  const pointInTime = await ask("point-in-time", () =>
    readPointInTimeStatus(settings, problems, warnings, now),
  );
  await under(filing, "disk", () => {
    if ((free ?? 0) < 2 * RESERVED_BYTES)
      problems.push(`The disk with ${settings.backupDirShown} is nearly full.`);
  });
  await under(filing, "database", () => {
    if (figures) problems.push(...judgePages(figures));
    warnings.push(
      ...(figures ? noteConnections(figures) : []),
      ...describePrepared(server?.prepared ?? [], settings.database),
      ...(server?.collation ?? []),
    );
  });
  const told = await ask("alerts", () => readTold(settings, problems));
  const lastLook = await readLastLook();
  await under(filing, "agent", () => void problems.push(...judgeLastLook(lastLook, now)));
  await under(filing, "schedule", () => void warnings.push(...scheduleWarnings(settings)));
  await under(filing, "copies", () => void warnings.push(...copiesWarnings(settings)));
  await under(filing, "point-in-time", () => void warnings.push(...pointInTimeWarnings(pointInTime, now)));
  const proven = newestProven(all);
  const facts: Facts = {
    problems: [...new Set(problems)],
    warnings,
    stack: settings.stack,
    at: now.toISOString(),
    database,
    server: figures,
    previousDatabases: server?.aside.map(({ name }) => name) ?? [],
    backups: {
      directory: settings.backupDirShown,
      count: all.length - flawed.length,
      freeBytes: free ?? 0,
      newest: newest && shownNewest(newest),
      newestProven: proven,
    },
    lastRun: newestRun(runs),
    lastDrill: runs.drill,
    lastPointInTimeDrill: runs.moment,
    lastRestore: runs.restore,
    refresh,
    lastRefresh: runs.refresh,
    collectors: {
      database: database !== null,
      server: server !== null,
      backups: listed !== null,
      disk: free !== null,
      copies: copies !== null,
      schedule: settings.schedule === null || next !== null,
      "point-in-time": !settings.pointInTime || pointInTime !== null,
    },
    next,
    pointInTime,
    recovery: recoveryOf(newest?.manifest.startedAt ?? null, pointInTime, proven),
    versions: {
      server: figures?.version ?? null,
      pgDump: newest?.manifest.pgDumpVersion ?? null,
      node: process.versions.node,
    },
    offsite: copies?.offsite ?? null,
    offsiteSsh: copies?.offsiteSsh ?? null,
  };
  const lines = linesOf(settings, facts, filing, { lastLook, told }, now);
  const well = allIsWell(facts, now);
  const verdict = verdictOf(lines, well);
  const fine = verdict.level === "OK" || verdict.level === "WARN";
  if (!fine && facts.problems.length === 0) facts.problems.push(`${verdict.sentence}.`);
  return { verdict, lines, fine, allIsWell: well, ...facts };
}

/** The database's container is called by the stack's prefix, and so is a replica's. */
function replicaLogs({ host }: AgentSettings): string {
  return `docker logs ${replicaContainerName(host.replace(/-db$/, ""))}`;
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
