import { describe, expect, it } from "vitest";
import type { KeptBackup } from "../../../../agent/catalogue/judged-backup.ts";
import type { Manifest } from "../../../../agent/manifest/manifest.ts";
import { type Clock, keepSchedule, type ScheduledWork } from "../../../../agent/schedule/loop.ts";
import type { RunMemory } from "../../../../agent/schedule/next-run.ts";
import { isDrillDue } from "../../../../agent/schedule/scheduled-backup.ts";
import { EXIT, Stop } from "../../../../shared/exit-codes.ts";
import { readSchedule } from "../../../../shared/schedule.ts";
import { takenAt } from "../../../support/retention/taken-at.ts";

const NOTHING: RunMemory = { served: null, failedAt: null };
const served = (at: string): RunMemory => ({ served: new Date(at), failedAt: null });

/** Runs the loop from one time to another. Its clock moves only while it waits. */
async function live(
  from: string,
  to: string,
  remembered: RunMemory,
  work: Partial<Omit<ScheduledWork, "run">> & { backup?: (at: string) => Promise<unknown> } = {},
) {
  const stop = new AbortController();
  let now = new Date(from).getTime();
  const seen = {
    started: [] as string[],
    written: [] as RunMemory[],
    followed: 0,
    said: [] as string[],
    waits: [] as number[],
  };
  const clock: Clock = {
    now: () => new Date(now),
    wait: async ms => {
      seen.waits.push(ms);
      now += ms;
      if (now >= new Date(to).getTime()) stop.abort();
    },
  };
  const say = (text: string) => void seen.said.push(text);
  await keepSchedule(
    readSchedule("0 2 * * *", "UTC"),
    { ms: 0, key: "dev" },
    {
      name: "Scheduled backup",
      maySoonSucceed: () => true,
      read: async () => remembered,
      hasData: async () => true,
      write: async memory => void seen.written.push(memory),
      afterwards: async () => void seen.followed++,
      ...work,
      run: async () => {
        const at = new Date(now).toISOString();
        seen.started.push(at);
        await work.backup?.(at);
      },
    },
    { info: say, done: say, warn: say, progress: () => ({ at: () => undefined, end: () => undefined }) },
    stop.signal,
    clock,
  );
  return seen;
}

describe("taking the backups that are due", () => {
  it("takes the first one at once, and then one each night", async () => {
    const { started, written, followed } = await live(
      "2026-11-22T14:00:00Z",
      "2026-11-24T03:00:00Z",
      NOTHING,
    );
    expect(started.map(at => at.slice(0, 16))).toEqual([
      "2026-11-22T14:00",
      "2026-11-23T02:00",
      "2026-11-24T02:00",
    ]);
    expect(written.at(-1)).toEqual(served("2026-11-24T02:00:00Z"));
    expect(followed).toBe(3);
  });

  it("looks at the clock every minute, and never without waiting", async () => {
    const { waits } = await live(
      "2026-11-22T14:00:00Z",
      "2026-11-22T16:00:00Z",
      served("2026-11-22T02:00:00Z"),
    );
    expect(Math.max(...waits)).toBe(60_000);
    expect(Math.min(...waits)).toBeGreaterThan(0);
  });

  it("goes on while every backup fails: says each failure in one line, and tries again hourly", async () => {
    const { started, written, followed, said } = await live(
      "2026-11-22T01:59:00Z",
      "2026-11-22T05:30:00Z",
      served("2026-11-21T02:00:00Z"),
      {
        backup: async () => {
          throw new Stop(EXIT.databaseUnreachable, "The database does not\nanswer.", "Start it.");
        },
      },
    );
    expect(started.map(at => at.slice(11, 16))).toEqual(["02:00", "03:00", "04:00", "05:00"]);
    expect(written.at(-1)).toEqual({
      served: new Date("2026-11-21T02:00:00Z"),
      failedAt: new Date("2026-11-22T05:00:00Z"),
    });
    expect(said).toEqual(Array(4).fill("Scheduled backup: The database does not answer."));
    expect(followed).toBe(0);
  });

  it("waits a minute for another operation to end, without calling the run failed", async () => {
    const { started, written } = await live(
      "2026-11-22T02:00:00Z",
      "2026-11-22T02:30:00Z",
      served("2026-11-21T02:00:00Z"),
      {
        backup: async at => {
          if (at < "2026-11-22T02:03") throw new Stop(EXIT.busy, "A restore is at work.");
        },
      },
    );
    expect(started.map(at => at.slice(11, 16))).toEqual(["02:00", "02:01", "02:02", "02:03"]);
    expect(written).toEqual([served("2026-11-22T02:00:00Z")]);
  });

  it("waits until it is due again where another try would end no better", async () => {
    const { started, written, followed } = await live(
      "2026-11-22T01:59:00Z",
      "2026-11-23T03:00:00Z",
      served("2026-11-21T02:00:00Z"),
      {
        maySoonSucceed: () => false,
        backup: async () => {
          throw new Stop(EXIT.failed, "The mask is wrong.");
        },
      },
    );
    expect(started.map(at => at.slice(0, 16))).toEqual(["2026-11-22T02:00", "2026-11-23T02:00"]);
    expect(written.at(-1)).toEqual(served("2026-11-23T02:00:00Z"));
    expect(followed).toBe(0);
  });

  it("waits for the first one until there is data to take it of", async () => {
    const tables = [false, false, false, true];
    const { started } = await live("2026-11-22T14:00:00Z", "2026-11-22T14:30:00Z", NOTHING, {
      hasData: async () => tables.shift() ?? true,
    });
    expect(started.map(at => at.slice(11, 16))).toEqual(["14:03"]);
  });

  it("takes one of an empty database in the end", async () => {
    const { started } = await live("2026-11-22T14:00:00Z", "2026-11-22T14:30:00Z", NOTHING, {
      hasData: async () => false,
    });
    expect(started.map(at => at.slice(11, 16))).toEqual(["14:10"]);
  });

  it("takes no first one when `pulumi up` has taken it meanwhile", async () => {
    const memories = [NOTHING, NOTHING, served("2026-11-22T02:00:00Z")];
    const { started } = await live("2026-11-22T14:00:00Z", "2026-11-23T03:00:00Z", NOTHING, {
      hasData: async () => false,
      read: async () => memories.shift() ?? NOTHING,
    });
    expect(started.map(at => at.slice(0, 16))).toEqual(["2026-11-23T02:00"]);
  });

  it("takes no second backup when neither its memory nor what follows can be done", async () => {
    const { started, said } = await live("2026-11-22T14:00:00Z", "2026-11-22T20:00:00Z", NOTHING, {
      write: async () => {
        throw new Error("no space left");
      },
      afterwards: async () => {
        throw new Error("the bucket is away");
      },
    });
    expect(started).toHaveLength(1);
    expect(said).toEqual(["The schedule's memory: no space left", "Scheduled backup: the bucket is away"]);
  });
});

describe("when a drill is due", () => {
  const now = new Date("2026-11-22T02:00:00Z");
  const provenOn = (at: string, outcome: "good" | "bad") =>
    takenAt(new Date("2026-11-01T02:00:00Z"), { proven: { at, outcome } });

  it.each([
    ["no backup has been tried", [takenAt(now)], true],
    ["one was proven six days ago", [takenAt(now), provenOn("2026-11-16T02:00:00Z", "good")], false],
    ["the newest proof is eight days old", [provenOn("2026-11-14T02:00:00Z", "good")], true],
    ["the newest drill found a bad one", [provenOn("2026-11-21T02:00:00Z", "bad")], true],
    ["the proof is from the future", [provenOn("2027-11-21T02:00:00Z", "good")], true],
  ])("%s", (_, backups, due) => {
    expect(isDrillDue(backups, now)).toBe(due);
  });

  const madeOtherwise = (differs: Partial<Manifest>, bad = false): KeptBackup => {
    const backup = takenAt(now);
    const manifest = { ...(backup.manifest as Manifest), ...differs };
    const proven = bad ? { at: now.toISOString(), outcome: "bad" as const } : null;
    return { ...backup, name: manifest.file, manifest, proven };
  };
  const yesterday = provenOn("2026-11-21T02:00:00Z", "good");

  it.each([
    ["another format", { file: "budgie_20261122_020000.dump" }],
    ["another version of the server", { serverVersion: "16.11" }],
    ["another pg_dump", { pgDumpVersion: "16.11" }],
  ])("the newest backup is the first of %s, whatever was proven yesterday", (_, differs) => {
    const newest = madeOtherwise(differs);
    expect(isDrillDue([newest, yesterday], now)).toBe(true);
    expect(
      isDrillDue([{ ...newest, proven: { at: now.toISOString(), outcome: "good" } }, yesterday], now),
    ).toBe(false);
  });

  it("the last one that was tried cannot be reloaded, whatever was proven before", () => {
    const day = (ago: number) => new Date(now.getTime() - ago * 24 * 3_600_000);
    const tried = (ago: number, outcome: "good" | "unloadable") =>
      takenAt(day(ago), { proven: { at: day(ago).toISOString(), outcome } });
    expect(isDrillDue([takenAt(now), tried(1, "unloadable"), tried(2, "good")], now)).toBe(true);
    expect(isDrillDue([takenAt(now), tried(1, "good"), tried(2, "unloadable")], now)).toBe(false);
  });

  it("what a drill found bad, or nobody can judge, asks for none of its own", () => {
    const unreadable = { ...takenAt(now), flaw: "no manifest", manifest: null };
    expect(isDrillDue([unreadable, yesterday], now)).toBe(false);
    expect(isDrillDue([madeOtherwise({ pgDumpVersion: "16.11" }, true), yesterday], now)).toBe(false);
  });
});
