import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  drillFlaw,
  drillOutcome,
  drillRecordName,
  saveDrillOutcome,
} from "../../../../agent/catalogue/drill-record.ts";
import { type ProcessEntry, serversIn } from "../../../../agent/server/processes.ts";
import { readSettings } from "../../../../shared/agent-environment.ts";
import type { AgentSettings } from "../../../../shared/agent-settings.ts";
import { AGENT_ENVIRONMENT } from "../../../support/agent/environment.ts";

describe("the record of a drill", () => {
  const name = "budgie_20251125_092704.sql";
  const content = { contentSha256: "4f2a" };
  const bad = {
    at: "2026-11-22T03:00:00.000Z",
    by: "drill" as const,
    outcome: "bad" as const,
    why: "it does not load",
    repair: [],
    ...content,
  };
  let settings: AgentSettings;

  beforeEach(async () => {
    const BUDGIE_BACKUP_DIR = await mkdtemp(join(tmpdir(), "budgie-drills-"));
    settings = readSettings({ ...AGENT_ENVIRONMENT, BUDGIE_BACKUP_DIR });
  });
  afterEach(() => rm(settings.backupDir, { recursive: true }));

  it("is there for the backup that was drilled, also once that was compressed by hand", async () => {
    expect(await drillOutcome(settings, name, content)).toBeNull();
    await saveDrillOutcome(settings, name, bad);
    expect(await drillOutcome(settings, name, content)).toEqual(bad);
    expect(await drillOutcome(settings, `${name}.gz`, content)).toEqual(bad);
    expect(drillRecordName(name)).toBe("budgie_20251125_092704.drill.json");
  });

  it("says nothing of another backup that got the same name", async () => {
    await saveDrillOutcome(settings, name, bad);
    expect(await drillOutcome(settings, name, { contentSha256: "77aa" })).toBeNull();
  });

  it("speaks against the backup when it is bad, and when it is damaged, and never by not being there", async () => {
    await writeFile(join(settings.backupDir, drillRecordName(name)), '{"outcome": "go');
    expect(drillFlaw(await drillOutcome(settings, name, content))).toBe(
      "the record of its drill cannot be read",
    );
    expect(drillFlaw(bad)).toBe("failed its drill of 2026-11-22: it does not load");
    expect(drillFlaw({ ...bad, outcome: "good", why: null })).toBeNull();
    expect(drillFlaw(null)).toBeNull();
  });

  it("tells one that cannot be reloaded from a bad one, and keeps what repairs it", async () => {
    const repair = ["ALTER TABLE public.b DROP CONSTRAINT c;"];
    const unloadable = {
      ...bad,
      by: "drill" as const,
      outcome: "unloadable" as const,
      why: "the constraint c does not load",
      repair,
    };
    await saveDrillOutcome(settings, name, unloadable);
    expect(await drillOutcome(settings, name, content)).toEqual(unloadable);
    expect(drillFlaw(unloadable)).toBe(
      "cannot be reloaded, says its drill of 2026-11-22: the constraint c does not load",
    );
  });

  it("is still read where an older version of the agent wrote it", async () => {
    const { repair: _, ...old } = bad;
    await writeFile(join(settings.backupDir, drillRecordName(name)), JSON.stringify(old));
    expect(await drillOutcome(settings, name, content)).toEqual(bad);
  });
});

describe("the processes of a throw-away server", () => {
  const directory = "/var/lib/postgresql/data/throw-away-drill";
  const entry = (pid: number, parent: number, uid: number, ...command: string[]): ProcessEntry => ({
    pid,
    parent,
    uid,
    command,
  });

  it("are the server and all that descends from it, or an initdb with its children", () => {
    const processes = [
      entry(7, 1, 0, "node", "agent.cjs", "serve"),
      entry(12, 10, 70, "postgres: budgie_user drill [local] COPY"),
      entry(10, 1, 70, "/usr/local/bin/postgres", "-D", `${directory}/data`),
      entry(13, 12, 70, "sh", "-c", "cp"),
      entry(20, 1, 70, "initdb", `--pgdata=${directory}/data`),
      entry(21, 20, 70, "postgres", "--boot"),
    ];
    expect(serversIn(directory, 70, processes).sort()).toEqual([10, 12, 13, 20, 21]);
  });

  it.each([
    ["another directory", entry(10, 1, 70, "postgres", "-D", "/var/lib/postgresql/data")],
    ["a directory whose name goes on", entry(10, 1, 70, "postgres", "-D", `${directory}-two/data`)],
    ["another user", entry(10, 1, 999, "postgres", "-D", `${directory}/data`)],
    ["another program", entry(10, 1, 70, "du", "-s", `${directory}/data`)],
  ])("are not those of %s", (_what, process) => {
    expect(serversIn(directory, 70, [process])).toEqual([]);
  });
});
