import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRecord, recordText } from "../../../agent/base/json-record.ts";
import {
  memoryFrom,
  nextRun,
  type RunMemory,
  remembersFailed,
  remembersServed,
  runMemory,
} from "../../../agent/schedule/next-run.ts";
import { readSchedule, scheduleProblem, timeZoneProblem } from "../../../shared/schedule.ts";

const HOUR = 3_600_000;
const remembered = (text: string) => memoryFrom(parseRecord(runMemory, text));
const at = (text: string) => new Date(text);
const shown = (date: Date) => date.toISOString().replace(":00.000Z", "Z");

/** The due times from one instant (not included) to another (included). */
function dueBetween(expression: string, timeZone: string, from: string, to: string): string[] {
  const schedule = readSchedule(expression, timeZone);
  const due: string[] = [];
  for (let next = schedule.after(at(from)); next <= at(to); next = schedule.after(next))
    due.push(shown(next));
  return due;
}

describe("a schedule, where the clock goes on", () => {
  it.each([
    ["30 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-29T01:00Z"], "02:30 at 03:00"],
    ["0 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-29T01:00Z"], "02:00 at 03:00"],
    ["*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-29T01:00Z"], "all of the hour once"],
    [
      "30 2,14 * * *",
      "Europe/Berlin",
      "2026-03-29T00:00Z",
      ["2026-03-29T01:00Z", "2026-03-29T12:30Z"],
      "each",
    ],
    ["0 0 * * *", "Africa/Cairo", "2026-04-23T12:00Z", ["2026-04-23T22:00Z"], "midnight at one"],
    [
      "15 2 * * *",
      "Australia/Lord_Howe",
      "2026-10-03T12:00Z",
      ["2026-10-03T15:30Z"],
      "a gap of half an hour",
    ],
  ])("%s in %s after %s is due at %j: %s", (expression, zone, from, due) => {
    const to = shown(new Date(at(from).getTime() + 20 * HOUR));
    expect(dueBetween(expression, zone, from, to)).toEqual(due);
  });
});

describe("a schedule, where the clock goes back", () => {
  it.each([
    ["30 2 * * *", "Europe/Berlin", "2026-10-24T22:00Z", ["2026-10-25T00:30Z"]],
    ["*/30 2 * * *", "Europe/Berlin", "2026-10-24T22:00Z", ["2026-10-25T00:00Z", "2026-10-25T00:30Z"]],
    ["45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00Z", ["2026-04-04T14:45Z"]],
  ])("%s in %s after %s is due the first time only: %j", (expression, zone, from, due) => {
    const to = shown(new Date(at(from).getTime() + 20 * HOUR));
    expect(dueBetween(expression, zone, from, to)).toEqual(due);
  });
});

it("an hourly schedule keeps its distance through both clock changes", () => {
  expect(dueBetween("0 * * * *", "Europe/Berlin", "2026-03-28T23:30Z", "2026-03-29T02:30Z")).toEqual([
    "2026-03-29T00:00Z",
    "2026-03-29T01:00Z",
    "2026-03-29T02:00Z",
  ]);
  expect(dueBetween("0 * * * *", "Europe/Berlin", "2026-10-24T23:30Z", "2026-10-25T02:30Z")).toEqual([
    "2026-10-25T00:00Z",
    "2026-10-25T01:00Z",
    "2026-10-25T02:00Z",
  ]);
});

/** For each date that is whole within the 60 hours: when the clock on the wall first shows each minute. */
function daysOf(timeZone: string, from: string): Map<string, number>[] {
  const clock = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  const days = new Map<string, Map<string, number>>();
  for (let minute = 0; minute < 60 * 60; minute++) {
    const instant = at(from).getTime() + minute * 60_000;
    const [date, time] = clock.format(instant).split(" ") as [string, string];
    const day = days.get(date) ?? new Map<string, number>();
    if (!day.has(time)) day.set(time, instant);
    days.set(date, day);
  }
  return [...days.values()].slice(1, -1);
}

/** The rule's own words: the moment at which the clock first shows that minute, or a later one where it never does. */
function dueByTheRule(days: Map<string, number>[], hours: number[], past: number[]): string[] {
  const due = new Set<number>();
  for (const day of days) {
    for (const hour of hours) {
      for (const minute of past) {
        const wanted = `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
        const later = [...day.keys()].find(time => time > wanted);
        const served = day.get(wanted) ?? (later && day.get(later));
        if (served) due.add(served);
      }
    }
  }
  return [...due].sort((a, b) => a - b).map(time => shown(new Date(time)));
}

describe("every time of a schedule", () => {
  const windows = [
    ["Europe/Berlin", "2026-03-28T00:00Z"],
    ["Europe/Berlin", "2026-10-24T00:00Z"],
    ["America/Santiago", "2026-09-05T00:00Z"],
    ["Australia/Lord_Howe", "2026-10-03T00:00Z"],
    ["Australia/Lord_Howe", "2026-04-03T12:00Z"],
    ["Antarctica/Troll", "2026-03-28T00:00Z"],
  ] as const;
  const some = (below: number, most: number) =>
    fc.uniqueArray(fc.nat(below - 1), { minLength: 1, maxLength: most });

  it.each(windows)("is due once on each day, in %s from %s, forwards and backwards", (zone, from) => {
    const days = daysOf(zone, from);
    fc.assert(
      fc.property(some(24, 4), some(60, 3), (hours, past) => {
        const expected = dueByTheRule(days, hours, past);
        const first = at(expected.at(0) as string);
        const last = at(expected.at(-1) as string);
        const expression = `${past.join()} ${hours.join()} * * *`;
        expect(dueBetween(expression, zone, shown(new Date(+first - 1)), shown(last))).toEqual(expected);
        const schedule = readSchedule(expression, zone);
        const back: string[] = [];
        for (let due = schedule.upTo(last); due >= first; due = schedule.upTo(new Date(+due - 1)))
          back.unshift(shown(due));
        expect(back).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });
});

describe("a schedule's settings", () => {
  it.each(["0 2 * * *", "*/15 * * * *", "0 2 * * 1-5", "0 2 29 2 *", "0 2 L * *", "30 1 1 JAN,JUL *"])(
    "may be %s",
    expression => {
      expect(scheduleProblem(expression)).toBeNull();
    },
  );

  it.each([
    ["0 2 * *", "has 4 fields instead of five"],
    ["0 0 2 * * *", "has 6 fields instead of five"],
    ["", "has 0 fields instead of five"],
    ["@daily", "has 1 field instead of five"],
    ["0 25 * * *", "is not a schedule: Invalid value for hour: 25."],
    ["at two every day please", "is not a schedule: configuration entry 1 (at) contains illegal characters."],
    ["0 2 30 2 *", "never comes due: there is no such date"],
    ["0 2 31 4,6,9,11 *", "never comes due: there is no such date"],
  ])("may not be %j, which is said with an example that is right", (expression, says) => {
    expect(scheduleProblem(expression)).toContain(says);
    expect(scheduleProblem(expression)).toContain('Right is for example "0 2 * * *"');
    expect(() => readSchedule(expression, "UTC")).toThrow(says);
  });

  it.each(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"])(
    "know the zone %s",
    zone => {
      expect(timeZoneProblem(zone)).toBeNull();
    },
  );

  it.each(["", "Berlin", "Europe/Berln", "+01:00", "UTC+1"])("refuse the zone %j", zone => {
    expect(timeZoneProblem(zone)).toContain('Right is for example "Europe/Berlin"');
    expect(() => readSchedule("0 2 * * *", zone)).toThrow(/time zone/);
  });
});

const none = { ms: 0, key: "dev" };
const nightly = readSchedule("0 2 * * *", "UTC");
const servedAt = (text: string): RunMemory => ({ served: at(text), failedAt: null });

describe("the next run", () => {
  it("is the next due time, and not the one that was served", () => {
    const run = nextRun(nightly, servedAt("2026-11-22T02:00Z"), none, at("2026-11-22T02:00:05Z"));
    expect([shown(run.at), run.why]).toEqual(["2026-11-23T02:00Z", "due"]);
  });

  it("is now, and one for all, where runs were missed while the machine was off", () => {
    const now = at("2026-11-22T09:00Z");
    const run = nextRun(nightly, servedAt("2026-11-12T02:00Z"), none, now);
    expect([shown(run.due), run.at <= now]).toEqual(["2026-11-22T02:00Z", true]);
    expect(shown(nextRun(nightly, remembersServed(run), none, now).at)).toBe("2026-11-23T02:00Z");
  });

  it.each([
    [null],
    [""],
    ["{"],
    ["null"],
    ["[]"],
    ['{"served":"yesterday","failedAt":null}'],
    ['{"failedAt":null}'],
  ])("is now when all that is remembered is %j", text => {
    const now = at("2026-11-22T09:00Z");
    const run = nextRun(nightly, remembered(text ?? ""), none, now);
    expect([run.at, run.why]).toEqual([now, "nothing known of earlier runs"]);
  });

  it("is remembered as it was written", () => {
    const memory = { served: at("2026-11-22T02:00Z"), failedAt: at("2026-11-22T02:01Z") };
    expect(remembered(recordText(memory))).toEqual(memory);
  });

  it("is not the same one again when the clock is set back within a day", () => {
    for (const now of ["2026-11-22T01:30Z", "2026-11-21T12:00Z", "2026-11-21T02:00Z"]) {
      const run = nextRun(nightly, servedAt("2026-11-22T02:00Z"), none, at(now));
      expect(shown(run.at), now).toBe("2026-11-23T02:00Z");
    }
  });

  it("is now when what was served lies days ahead: a clock that was wrong must not silence the schedule", () => {
    const now = at("2026-11-22T09:00Z");
    expect(nextRun(nightly, servedAt("2031-01-01T02:00Z"), none, now)).toMatchObject({ at: now });
  });

  it("is an hour after one that failed, and the next due one when that is sooner", () => {
    const failed = remembersFailed(servedAt("2026-11-21T02:00Z"), at("2026-11-22T02:10Z"));
    const again = nextRun(nightly, failed, none, at("2026-11-22T02:11Z"));
    expect([shown(again.due), shown(again.at), again.why]).toEqual([
      "2026-11-22T02:00Z",
      "2026-11-22T03:10Z",
      "failed before",
    ]);
    const often = readSchedule("*/15 * * * *", "UTC");
    expect(shown(nextRun(often, failed, none, at("2026-11-22T02:11Z")).at)).toBe("2026-11-22T02:15Z");
    expect(nextRun(nightly, failed, none, at("2026-11-23T02:00Z")).at).toEqual(at("2026-11-23T02:00Z"));
  });

  it("is now after a failure that another clock dates later", () => {
    const failed = remembersFailed(servedAt("2026-11-21T02:00Z"), at("2026-11-22T20:00Z"));
    const now = at("2026-11-22T05:00Z");
    expect(nextRun(nightly, failed, none, now).at <= now).toBe(true);
  });

  it("starts before the one after it is due, whatever the jitter", () => {
    const often = readSchedule("*/5 * * * *", "UTC");
    for (let minute = 0; minute < 60; minute += 5) {
      const now = new Date(at("2026-11-22T02:00Z").getTime() + minute * 60_000);
      const run = nextRun(often, { served: now, failedAt: null }, { ms: HOUR, key: "dev" }, now);
      expect(run.at >= run.due && run.at < often.after(run.due), shown(run.at)).toBe(true);
    }
  });

  it("is later by the jitter, equally much after each restart, differently for another stack", () => {
    const jitter = { ms: HOUR, key: "dev" };
    const memory = servedAt("2026-11-22T02:00Z");
    const run = nextRun(nightly, memory, jitter, at("2026-11-22T12:00Z"));
    const late = run.at.getTime() - run.due.getTime();
    expect(late).toBeGreaterThan(0);
    expect(late).toBeLessThan(HOUR);
    for (const now of [run.due, new Date(run.at.getTime() - 1), run.at])
      expect(nextRun(nightly, memory, jitter, now)).toEqual(run);
    const prod = nextRun(nightly, memory, { ...jitter, key: "prod" }, at("2026-11-22T12:00Z"));
    expect(prod.at).not.toEqual(run.at);
  });
});

describe("whatever the clock does", () => {
  const expressions = ["0 2 * * *", "30 2 * * *", "*/15 * * * *", "0 3 * * 0", "30 2,14 * * *"];
  /** How the clock moves between two looks, in minutes; it goes back by less than a day. */
  const steps = (back: number) =>
    fc.array(fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: -back, max: 4000 })), {
      minLength: 1,
      maxLength: 40,
    });
  const start = fc.integer({ min: at("2026-03-25").getTime(), max: at("2026-10-30").getTime() });
  const fails = fc.infiniteStream(fc.boolean());

  function serve(expression: string, ms: number, from: number, moves: number[], failing: Iterator<boolean>) {
    const schedule = readSchedule(expression, "Europe/Berlin");
    const jitter = { ms, key: "dev" };
    let memory: RunMemory = { served: new Date(from), failedAt: null };
    let now = from;
    const served: Date[] = [];
    for (const minutes of moves) {
      now += minutes * 60_000;
      const clock = new Date(now);
      const run = nextRun(schedule, memory, jitter, clock);
      if (run.at > clock) continue;
      expect(run.due <= clock, "nothing runs before it is due").toBe(true);
      const failed = failing.next().value;
      memory = remembered(recordText(failed ? remembersFailed(memory, clock) : remembersServed(run)));
      if (!failed) served.push(run.due);
      expect(nextRun(schedule, memory, jitter, clock).at > clock, "the next run is in the future").toBe(true);
    }
    return served;
  }

  it("no due time is served twice, the next run is in the future, and nothing runs early", () => {
    // The sum of all steps back stays below the day within which what was served is believed.
    fc.assert(
      fc.property(
        fc.constantFrom(...expressions),
        fc.constantFrom(0, HOUR),
        start,
        steps(23),
        fails,
        (expression, ms, from, moves, failing) => {
          const served = serve(expression, ms, from, moves, failing);
          expect(new Set(served.map(Number)).size, "served twice").toBe(served.length);
          expect(served, "in order").toEqual([...served].sort((a, b) => +a - +b));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("also one that jumps by years leaves the next run in the future", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...expressions),
        start,
        steps(3_000_000),
        fails,
        (expression, from, moves, failing) => {
          serve(expression, 0, from, moves, failing);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("a day after the last jump, every due time is served again", () => {
    fc.assert(
      fc.property(fc.constantFrom(...expressions), start, steps(3_000_000), (expression, from, moves) => {
        const calm = Array.from({ length: 8 * 4 }, () => 360);
        const served = serve(expression, 0, from, [...moves, ...calm], noneFails());
        const end = from + [...moves, ...calm].reduce((sum, minutes) => sum + minutes, 0) * 60_000;
        expect(served.at(-1)).toEqual(readSchedule(expression, "Europe/Berlin").upTo(new Date(end)));
      }),
      { numRuns: 30 },
    );
  });
});

function* noneFails(): Generator<boolean> {
  for (;;) yield false;
}
