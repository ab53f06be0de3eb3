import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  advise,
  durations,
  type Load,
  largestWithin,
  recoveries,
  speedup,
  storagePrice,
  stored,
  USUAL,
} from "../../../bench/scaling/model.ts";
import { scalingFiles } from "../../../bench/scaling/page.ts";
import { lineOf, type Rates, secondsFor } from "../../../bench/scaling/rates.ts";
import { standardPrice } from "../../../bench/scaling/storage-price.ts";
import { shownSize, shownTime } from "../../../bench/scaling/tables.ts";

const rates: Rates = {
  backup: { seconds: 1, secondsPerGigabyte: 10 },
  restore: { seconds: 2, secondsPerGigabyte: 40 },
  drill: { seconds: 2, secondsPerGigabyte: 30 },
  baseBackup: { seconds: 0, secondsPerGigabyte: 5 },
  replay: { seconds: 0, secondsPerGigabyte: 20 },
  onDisk: 1.5,
  compressed: 0.25,
  walCompressed: 0.2,
  cores: 2,
  at: "2026-11-26",
};
const load = (gigabytes: number, differs: Partial<Load> = {}): Load => ({ ...USUAL, gigabytes, ...differs });

describe("the model of scaling", () => {
  it("goes through what was measured", () => {
    const measured = [10, 100, 1000].map(megabytes => ({
      shape: "500 small tables" as const,
      megabytes,
      name: "backup",
      at: "2026-11-26",
      plainSeconds: 1,
      ownSeconds: 1 + megabytes / 100,
      pairs: 1,
      peakMegabytes: 1,
    }));
    const line = lineOf(measured, "backup");
    for (const { megabytes, ownSeconds } of measured)
      expect(secondsFor(line, megabytes / 1000)).toBeCloseTo(ownSeconds);
    expect(() => lineOf(measured.slice(0, 1), "backup")).toThrow("npm run bench plain-tools");
  });

  it("takes longer for more, and less on a faster machine", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 1e5, noNaN: true }),
        fc.double({ min: 1.01, max: 10, noNaN: true }),
        (gigabytes, factor) => {
          const usual = load(gigabytes, { walGigabytesPerDay: gigabytes / 10 });
          const larger = { ...usual, gigabytes: gigabytes * factor };
          const faster = { ...usual, speed: factor };
          const [now, more, less] = [usual, larger, faster].map(one => durations(rates, one));
          for (const key of ["backup", "drill", "restore", "baseBackup"] as const) {
            expect(more?.[key]).toBeGreaterThan(now?.[key] ?? 0);
            expect(less?.[key]).toBeLessThan(now?.[key] ?? 0);
          }
          expect(storagePrice(rates, larger)).toBeGreaterThan(storagePrice(rates, usual));
        },
      ),
    );
  });

  it("loses less with point in time than with a backup a night, and takes longer to come back", () => {
    const [night, moment, , synchronous] = recoveries(rates, load(100, { walGigabytesPerDay: 10 }));
    expect(moment?.point).toBeLessThan(night?.point ?? 0);
    expect(moment?.time).toBeGreaterThan(night?.time ?? 0);
    expect(synchronous?.point).toBe(0);
  });

  it("charges a bucket for what is hidden as well, and a colder class for less", () => {
    expect(stored(rates, load(10, { keepDays: 90, noncurrentDays: 30 }))).toEqual({
      standard: 300,
      colder: 0,
      wal: 0,
    });
    const colder = load(10, { colder: { class: "GLACIER_IR", afterDays: 20 } });
    expect(stored(rates, colder)).toEqual({ standard: 50, colder: 250, wal: 0 });
    expect(storagePrice(rates, colder)).toBeCloseTo(50 * 0.023 + 250 * 0.004);
    expect(standardPrice(60_000)).toBeCloseTo(50_000 * 0.023 + 10_000 * 0.022);
  });

  it("has jobs help up to the cores, and not past the largest table", () => {
    expect([1, 2, 4, 8].map(jobs => speedup(jobs, 4, 0))).toEqual([1, 2, 4, 4]);
    expect(speedup(4, 4, 0.5)).toBe(2);
    expect(speedup(4, 4, 1)).toBe(1);
  });

  it("finds the size at which a time is over, and says what is due from there on", () => {
    expect(largestWithin(41, gigabytes => 1 + 10 * gigabytes)).toBe(4);
    expect(largestWithin(1, () => 2)).toBe(0);
    const due = advise(rates, USUAL, 4 * 3600);
    expect(due.map(({ from }) => from)).toEqual(due.map(({ from }) => from).toSorted((a, b) => a - b));
    const standby = due.find(({ advice }) => advice.includes("a restore takes longer"));
    expect(recoveries(rates, load(standby?.from ?? 0))[0]?.time).toBeLessThanOrEqual(4 * 3600 * 1.05);
  });

  it.each([
    [shownSize(0.01), "10 MB"],
    [shownSize(99.6), "100 GB"],
    [shownSize(10_000), "10 TB"],
    [shownTime(0.46), "0.46 s"],
    [shownTime(3600), "60 min"],
    [shownTime(1e6), "12 days"],
  ])("shows no more digits than it knows: %s", (shown, expected) => expect(shown).toBe(expected));
});

it("the page and its plots show the model", async () => {
  for (const [path, content] of Object.entries(scalingFiles()))
    expect(await readFile(path, "utf8"), "npm run scaling -- --page renews it").toBe(content);
});
