import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { Stop } from "../../shared/exit-codes.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";

const lastRun = z.object({
  operation: z.string(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  outcome: z.enum(["running", "done", "failed"]),
  /** Why it failed. Of one that is running: why the one before it failed, which it takes away only when it is done. */
  message: z.string().nullable(),
});

/** How an operation of this stack ended. `running` and nobody at work means that it was killed. */
export type LastRun = z.infer<typeof lastRun>;

/**
 * `refresh`: of the stack that budgie:refreshFrom names. `beside`: a restore that leaves the live database alone. `drop`: of what
 * restores set aside. `moment`: a drill of point in time. How the newest one of each kind ended is kept apart: a backup that succeeds
 * says nothing of a failed prune. How copies were sent is kept with what is known of the copies.
 */
const KINDS = [
  "backup",
  "restore",
  "refresh",
  "prune",
  "reindex",
  "drop",
  "beside",
  "drill",
  "moment",
] as const;
export type Kept = (typeof KINDS)[number];
export type LastRuns = Record<Kept, LastRun | null>;

/** One record of backups and restores, from before there was one for each kind. */
const OLDER = "run";

/** Runs `work` and keeps how it ended, so that the next status shows a failure, and not only whoever typed the command sees it. */
export async function recordRun<T>(
  settings: AgentSettings,
  kind: Kept,
  operation: string,
  work: () => Promise<T>,
): Promise<T> {
  const started: LastRun = {
    operation,
    startedAt: new Date().toISOString(),
    finishedAt: null,
    outcome: "running",
    message: failureBefore(await readRun(settings, kind)),
  };
  await saveRun(settings, kind, started);
  try {
    const result = await work();
    await saveRun(settings, kind, {
      ...started,
      finishedAt: new Date().toISOString(),
      outcome: "done",
      message: null,
    });
    return result;
  } catch (error) {
    await saveRun(settings, kind, failed(started, error));
    throw error;
  }
}

/** Keeps that an operation could not begin. */
export async function recordFailed(
  settings: AgentSettings,
  kind: Kept,
  operation: string,
  error: unknown,
): Promise<void> {
  const at = new Date().toISOString();
  const started: LastRun = { operation, startedAt: at, finishedAt: at, outcome: "failed", message: null };
  await saveRun(settings, kind, failed(started, error));
}

export async function readLastRuns(settings: AgentSettings): Promise<LastRuns> {
  const older = await readRun(settings, OLDER);
  const kindOfOlder = older?.operation.startsWith("restore") ? "restore" : "backup";
  const found = await Promise.all(
    KINDS.map(
      async kind => [kind, (await readRun(settings, kind)) ?? (kind === kindOfOlder ? older : null)] as const,
    ),
  );
  return Object.fromEntries(found) as LastRuns;
}

/** The newest of those that take the lock; null when there was none. */
export function newestRun({ drill: _, moment: __, ...runs }: LastRuns): LastRun | null {
  const begun = Object.values(runs).filter(run => run !== null);
  return begun.sort((a, b) => a.startedAt.localeCompare(b.startedAt)).at(-1) ?? null;
}

/**
 * The bad ends that still count. A kind's own next run takes its end away. Whatever else ended badly, but
 * a prune, may never be tried again, and the database is as it was: a backup that was taken since takes away theirs.
 */
export function countingRuns(runs: LastRuns): LastRuns {
  const { backup } = runs;
  const unlessBackedUp = (run: LastRun | null) =>
    run && backup?.outcome === "done" && backup.startedAt > run.startedAt ? null : run;
  return {
    ...runs,
    restore: unlessBackedUp(runs.restore),
    reindex: unlessBackedUp(runs.reindex),
    drop: unlessBackedUp(runs.drop),
    beside: unlessBackedUp(runs.beside),
  };
}

/** What is still wrong while it is tried again: a failure lasts until one succeeds. */
export function failureBefore(last: Pick<LastRun, "outcome" | "message"> | null): string | null {
  return last === null || last.outcome === "done" ? null : last.message;
}

function failed(started: LastRun, error: unknown): LastRun {
  const message = error instanceof Stop ? error.message : `unexpected: ${(error as Error).message}`;
  return { ...started, finishedAt: new Date().toISOString(), outcome: "failed", message };
}

async function readRun(settings: AgentSettings, kind: Kept | typeof OLDER): Promise<LastRun | null> {
  const reading = await readRecord(lastRun, lastRunPath(settings, kind));
  return reading.found ? reading.record : null;
}

/** A note, not a gate: a disk too full for this file must not hide why the work itself failed. */
async function saveRun(settings: AgentSettings, kind: Kept, run: LastRun): Promise<void> {
  await writeRecord(lastRunPath(settings, kind), run).catch(() => undefined);
}

function lastRunPath(settings: AgentSettings, kind: Kept | typeof OLDER): string {
  return join(settings.backupDir, `.last-${kind}-${settings.stack}.json`);
}
