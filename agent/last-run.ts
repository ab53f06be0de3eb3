import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./durable-file.ts";
import { Stop } from "./exit-codes.ts";
import type { AgentSettings } from "./settings.ts";

const lastRun = z.object({
  operation: z.string(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  outcome: z.enum(["running", "done", "failed"]),
  message: z.string().nullable(),
});

/** How the newest backup or restore of this stack ended. `running` and nobody at work means that it was killed. */
export type LastRun = z.infer<typeof lastRun>;

/** Drills run beside backups and restores, so how the newest one ended is kept apart from how those did. */
export type Kept = "run" | "drill";

/** Runs `work` and keeps how it ended, so that a failure is seen by the next status and not only by who typed it. */
export async function recordRun<T>(
  settings: AgentSettings,
  operation: string,
  work: () => Promise<T>,
  kept: Kept = "run",
): Promise<T> {
  const save = (run: LastRun) => saveRun(settings, kept, run);
  const started: LastRun = {
    operation,
    startedAt: new Date().toISOString(),
    finishedAt: null,
    outcome: "running",
    message: null,
  };
  await save(started);
  try {
    const result = await work();
    await save({ ...started, finishedAt: new Date().toISOString(), outcome: "done" });
    return result;
  } catch (error) {
    const message = error instanceof Stop ? error.message : `unexpected: ${(error as Error).message}`;
    await save({ ...started, finishedAt: new Date().toISOString(), outcome: "failed", message });
    throw error;
  }
}

export async function readLastRun(settings: AgentSettings, kept: Kept = "run"): Promise<LastRun | null> {
  try {
    return lastRun.parse(JSON.parse(await readFile(pathOf(settings, kept), "utf8")));
  } catch {
    return null;
  }
}

/** A note, not a gate: a disk too full for this file must not hide why the work itself failed. */
async function saveRun(settings: AgentSettings, kept: Kept, run: LastRun): Promise<void> {
  await replaceFile(pathOf(settings, kept), `${JSON.stringify(run)}\n`).catch(() => undefined);
}

function pathOf(settings: AgentSettings, kept: Kept): string {
  return join(settings.backupDir, `.last-${kept}-${settings.stack}.json`);
}
