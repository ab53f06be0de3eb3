import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeptBackup, Proof } from "../../../../agent/catalogue/judged-backup.ts";
import type { RetentionPolicy } from "../../../../shared/retention-policy.ts";
import { keptByTheRules } from "../../../support/retention/rules.ts";
import {
  firstOutside,
  live,
  type Month,
  type Span,
  type Witness,
} from "../../../support/retention/simulated-month.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const utc = (text: string) => new Date(text).getTime();
const span = (from: string, to: string): Span => [utc(from), utc(to)];
const policy: RetentionPolicy = { days: 7, atLeast: 3, weeks: 4, months: 12 };

const quiet = {
  expression: "30 2 * * *",
  timeZone: "Europe/Berlin",
  off: [],
  databaseDown: [],
  storeDown: [],
  drills: [],
  gates: [],
  wrongClock: [],
};
const march: Month = { ...quiet, span: span("2026-03-01T12:00Z", "2026-04-05T12:00Z") };
const october: Month = { ...quiet, span: span("2026-10-01T12:00Z", "2026-11-05T12:00Z") };

/** When 02:30 in Berlin is, date by date: worked out by hand from the two clock changes of 2026. */
function dueTimes({ span: [from, to] }: Month): number[] {
  const due: number[] = [];
  for (let date = utc("2026-02-20T00:00Z"); date < to; date += DAY) {
    const summer = date >= utc("2026-03-30T00:00Z") && date <= utc("2026-10-25T00:00Z");
    const lostHour = date === utc("2026-03-29T00:00Z");
    due.push(date + (lostHour ? HOUR : summer ? 0.5 * HOUR : 1.5 * HOUR));
  }
  const current = due.filter(time => time <= from).at(-1) as number;
  return due.filter(time => time >= current);
}

/** When scheduled backups must succeed: once after each due time, as soon as possible. */
function successes(month: Month): number[] {
  const {
    span: [from, to],
    off,
    databaseDown,
  } = month;
  const due = dueTimes(month);
  return due.flatMap((time, which) => {
    const until = Math.min(to, due[which + 1] ?? to);
    let tried = firstOutside(off, Math.max(time, from));
    while (tried < until && firstOutside(databaseDown, tried) > tried)
      tried = firstOutside(off, tried + HOUR);
    return tried < until ? [tried] : [];
  });
}

/** Judges every step; it knows the rules and none of the code. */
function witness(): Witness {
  return {
    served(run, next, now) {
      expect(run.at <= now, `served at ${now.toISOString()}, before its time`).toBe(true);
      expect(next.at > now, `the next run, ${next.at.toISOString()}, is not after ${now.toISOString()}`).toBe(
        true,
      );
    },
    pruned(before, after, now) {
      expect(namesOf(after), `pruned at ${now.toISOString()}`).toEqual(keptByTheRules(before, policy, now));
    },
  };
}

const namesOf = (backups: readonly KeptBackup[]) => backups.map(({ name }) => name).sort();
const byName = (a: KeptBackup, b: KeptBackup) => (a.name < b.name ? -1 : 1);
const times = (backups: readonly KeptBackup[]) => namesOf(backups).map(name => name.slice(7, 22));
const stamp = (time: number) =>
  new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "_");

describe("a month with nothing but a clock change", () => {
  it("has one backup a night in March, also in the night without 02:30", () => {
    const { taken } = live(march, policy, witness());
    expect(taken).toHaveLength(36);
    expect(times(taken).slice(0, 2)).toEqual(["20260301_120000", "20260302_013000"]);
    expect(times(taken).filter(time => time >= "20260327" && time < "20260401")).toEqual([
      "20260327_013000",
      "20260328_013000",
      "20260329_010000",
      "20260330_003000",
      "20260331_003000",
    ]);
  });

  it("has one backup a night in October, also in the night with 02:30 twice", () => {
    const { taken } = live(october, policy, witness());
    expect(taken).toHaveLength(36);
    expect(times(taken).filter(time => time >= "20261023" && time < "20261028")).toEqual([
      "20261023_003000",
      "20261024_003000",
      "20261025_003000",
      "20261026_013000",
      "20261027_013000",
    ]);
  });
});

describe("a month of outages, failed runs, drills and changes", () => {
  const eventful: Month = {
    ...march,
    off: [span("2026-03-06T20:00Z", "2026-03-09T08:15Z"), span("2026-03-28T22:00Z", "2026-03-29T07:00Z")],
    databaseDown: [
      span("2026-03-12T01:00Z", "2026-03-12T03:45Z"),
      span("2026-03-17T00:00Z", "2026-03-19T00:00Z"),
    ],
    storeDown: [span("2026-03-31T00:00Z", "2026-04-02T00:00Z")],
    drills: [
      { at: utc("2026-03-08T12:00Z"), outcome: "good" },
      { at: utc("2026-03-15T12:00Z"), outcome: "good" },
      { at: utc("2026-03-23T12:00Z"), outcome: "bad" },
      { at: utc("2026-03-29T12:00Z"), outcome: "good" },
    ],
    gates: [utc("2026-03-20T15:00Z")],
  };

  it("makes up once for what was missed, tries again what failed, and leaves what the page says", () => {
    const { taken, left } = live(eventful, policy, witness());
    const all = times(taken);
    expect(all.filter(time => time >= "20260306" && time < "20260311")).toEqual([
      "20260306_013000",
      "20260309_081500",
      "20260310_013000",
    ]);
    expect(all.filter(time => time >= "20260312" && time < "20260313")).toEqual(["20260312_043000"]);
    // The hourly try that succeeds is still that of the 18th; an hour later the 19th's own is due.
    expect(all.filter(time => time >= "20260316" && time < "20260320")).toEqual([
      "20260316_013000",
      "20260319_003000",
      "20260319_013000",
    ]);
    expect(all.filter(time => time >= "20260329" && time < "20260330")).toEqual(["20260329_070000"]);
    expect(times(left)).toEqual([
      // For March: the first that a drill has proven; and so for the week of 9 March.
      "20260315_013000",
      // For the week of 16 March.
      "20260316_013000",
      // Before a change.
      "20260320_150000",
      // For the week of 23 March, whose Monday was found bad, and proven.
      "20260329_070000",
      // The newest seven days; the first of them is for the week of 30 March.
      "20260330_003000",
      "20260331_003000",
      "20260401_003000",
      "20260402_003000",
      "20260403_003000",
      "20260404_003000",
      "20260405_003000",
    ]);
  });
});

const minute = ({ span: [from, to] }: Month) =>
  fc.integer({ min: 0, max: (to - from) / 60_000 }).map(minutes => from + minutes * 60_000);

/** Up to four spans of up to three days each. */
const spans = (of: Month): fc.Arbitrary<Span[]> =>
  fc.array(
    fc
      .tuple(minute(of), fc.integer({ min: 1, max: 3 * 24 * 60 }))
      .map(([start, minutes]): Span => [start, start + minutes * 60_000]),
    { maxLength: 4 },
  );

const months = (of: Month, ...found: Proof["outcome"][]): fc.Arbitrary<Month> => {
  // Within a minute, so that no two backups want the same name.
  const moment = minute(of).map(time => time + 17_000);
  return fc.record({
    span: fc.constant(of.span),
    expression: fc.constant(of.expression),
    timeZone: fc.constant(of.timeZone),
    off: spans(of),
    databaseDown: spans(of),
    storeDown: spans(of),
    drills: fc.array(fc.record({ at: moment, outcome: fc.constantFrom(...found) }), { maxLength: 6 }),
    gates: fc.array(moment, { maxLength: 3 }),
    wrongClock: fc.constant([]),
  });
};

describe.each([
  ["March", march],
  ["October", october],
])("any %s", (_name, month) => {
  it("has exactly the backups that the rules say, and keeps exactly those", () => {
    fc.assert(
      fc.property(months(month, "good", "unknown"), lived => {
        const { taken, left } = live(lived, policy, witness());
        const scheduled = taken.filter(({ manifest }) => manifest?.reason === "scheduled");
        expect(times(scheduled)).toEqual(successes(lived).map(stamp));
        const end = new Date(lived.span[1] + 10 * DAY);
        expect(namesOf(left)).toEqual(keptByTheRules(taken, policy, end));
      }),
      { numRuns: 25 },
    );
  });

  // What was pruned before a backup was found bad is gone, so the rules are asked at every step and not once at the end.
  it("keeps at every step what the rules say where drills find backups bad, and the newest good and proven ones", () => {
    fc.assert(
      fc.property(months(month, "good", "bad", "bad", "unknown"), lived => {
        const { taken, left, served } = live(lived, policy, witness());
        const good = taken.filter(({ proven }) => proven?.outcome !== "bad").sort(byName);
        const newestProven = good.findLast(({ proven }) => proven?.outcome === "good");
        for (const backup of [good.at(-1), newestProven]) if (backup) expect(left).toContainEqual(backup);
        expect(new Set(served.map(Number)).size, "a due time was served twice").toBe(served.length);
      }),
      { numRuns: 25 },
    );
  });

  it("serves no due time twice while the clock is wrong by less than a day and is set right", () => {
    fc.assert(
      fc.property(
        months(month, "good", "bad"),
        spans(month),
        fc.integer({ min: -23, max: 23 }),
        (lived, wrong, hours) => {
          const wrongClock = wrong.slice(0, 1).map(when => ({ span: when, by: hours * HOUR }));
          const { served } = live({ ...lived, wrongClock }, policy, witness());
          expect(new Set(served.map(Number)).size, "a due time was served twice").toBe(served.length);
        },
      ),
      { numRuns: 20 },
    );
  });

  it("goes on with backups, and removes by the rules only, whatever the clock says in between", () => {
    fc.assert(
      fc.property(
        months(month, "good", "bad"),
        spans(month),
        fc.integer({ min: -9000, max: 9000 }),
        (lived, wrong, hours) => {
          const wrongClock = wrong.slice(0, 1).map(when => ({ span: when, by: hours * HOUR }));
          const { taken } = live({ ...lived, off: [], databaseDown: [], wrongClock }, policy, witness());
          const last = Math.max(...successes({ ...lived, off: [], databaseDown: [] }));
          const settled = wrong.every(([, to]) => to < last);
          if (settled) expect(times(taken)).toContain(stamp(last));
        },
      ),
      { numRuns: 20 },
    );
  });
});
