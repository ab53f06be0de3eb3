import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  countingRuns,
  type LastRun,
  newestRun,
  readLastRuns,
  recordRun,
} from "../../../../agent/catalogue/last-run.ts";
import { judgeLastRuns } from "../../../../agent/status/judge-runs.ts";
import type { AgentSettings } from "../../../../shared/agent-settings.ts";

let settings: AgentSettings;

beforeEach(async () => {
  settings = { backupDir: await mkdtemp(join(tmpdir(), "budgie-runs-")), stack: "dev" } as AgentSettings;
});

afterEach(() => rm(settings.backupDir, { recursive: true }));

const fail = () => Promise.reject(new Error("no"));
const go = async () => undefined;
const IDLE = { underLock: false, drill: false };
const run = (kind: "backup" | "restore" | "prune" | "drill", work: () => Promise<void>) =>
  recordRun(settings, kind, kind, work).catch(() => undefined);
const told = async (atWork = IDLE) => judgeLastRuns(await readLastRuns(settings), atWork);

describe("how the last operation of each kind ended", () => {
  it("is kept by kind: a backup that goes well leaves a failed prune and a failed drill red", async () => {
    await run("prune", fail);
    await run("drill", fail);
    await run("backup", go);
    expect(await told()).toEqual([
      "The last prune failed: unexpected: no",
      "The last drill failed: unexpected: no",
    ]);
    await run("prune", go);
    await run("drill", go);
    expect(await told()).toEqual([]);
  });

  it("is over for a restore once a backup was taken since, and not before", async () => {
    await run("backup", go);
    await run("restore", fail);
    expect(await told()).toHaveLength(1);
    await new Promise(resolve => setTimeout(resolve, 5));
    await run("backup", go);
    expect(await told()).toEqual([]);
  });

  it("is not over for a backup by anything but a backup", async () => {
    await run("backup", fail);
    await run("restore", go);
    await run("prune", go);
    expect(await told()).toEqual(["The last backup failed: unexpected: no"]);
  });

  it("is not judged while that kind may be at work", async () => {
    const started: LastRun = {
      operation: "restore",
      startedAt: new Date().toISOString(),
      finishedAt: null,
      outcome: "running",
      message: null,
    };
    const idle = { backup: null, prune: null, reindex: null, drop: null, beside: null, moment: null };
    const runs = { ...idle, refresh: started, restore: started, drill: started };
    expect(judgeLastRuns(runs, { underLock: true, drill: true })).toEqual([]);
    expect(judgeLastRuns(runs, { underLock: true, drill: false })).toHaveLength(1);
    expect(judgeLastRuns(runs, IDLE)).toHaveLength(2);
    expect(countingRuns(runs).restore).toBe(started);
  });

  it("is not over while it is tried again, nor by a try that was killed", async () => {
    await run("backup", fail);
    const begin = () => void recordRun(settings, "backup", "backup", () => new Promise(() => undefined));
    for (const _kill of [1, 2]) {
      begin();
      await expect.poll(async () => (await readLastRuns(settings)).backup?.outcome).toBe("running");
      expect(await told({ underLock: true, drill: false })).toEqual([
        "The last backup failed, and is tried again at the moment. It failed with: unexpected: no",
      ]);
    }
    await run("backup", go);
    expect(await told()).toEqual([]);
  });

  it("is read from the one record of older agents, until that kind has one of its own", async () => {
    const older = {
      operation: "backup",
      startedAt: "2026-01-01T00:00:00.000Z",
      finishedAt: "2026-01-01T00:00:01.000Z",
      outcome: "failed",
      message: "the disk was full",
    };
    await writeFile(join(settings.backupDir, ".last-run-dev.json"), JSON.stringify(older));
    expect(await told()).toEqual(["The last backup failed: the disk was full"]);
    expect(newestRun(await readLastRuns(settings))).toEqual(older);
    await run("backup", go);
    expect(await told()).toEqual([]);
  });
});
