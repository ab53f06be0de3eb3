import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextWanted, whyUnfit } from "../../../../agent/point-in-time/chain-broken.ts";
import { baseKeys, parseChainKey, segmentKey } from "../../../../agent/point-in-time/chain-keys.ts";
import { meansMoment, parseMoment } from "../../../../agent/point-in-time/moment.ts";
import { ofOwnVersion, refuseOtherVersion } from "../../../../agent/point-in-time/other-version.ts";
import {
  joinRanges,
  missingSegment,
  pickBase,
  type Recoverable,
  recoverables,
} from "../../../../agent/point-in-time/recoverable.ts";
import { judgeGaps, judgeReceiving } from "../../../../agent/point-in-time/status.ts";
import {
  endOfSegment,
  nextSegment,
  parseLsn,
  parseSealedName,
  sealedName,
  segmentAt,
} from "../../../../agent/point-in-time/wal-segment.ts";
import {
  base,
  chainOf,
  DAY,
  MINUTE,
  recoverableFrom,
  SEGMENT_BYTES,
  START,
  segment,
} from "../../../support/retention/wal-chain.ts";

const position = {
  systemIdentifier: "1",
  timeline: 1,
  segmentBytes: SEGMENT_BYTES,
  at: START,
  lsn: 2n ** 40n,
  snapshot: "1:1:",
  slot: null,
};
const slot = { active: true, walStatus: "reserved", flushLsn: 1n, lagBytes: 0, safeBytes: 1 << 30 };

describe("the moment of `restore --at`", () => {
  it("is read with its offset from UTC, to the microsecond", () => {
    expect(parseMoment("2026-11-22 14:03:00+01")).toEqual({
      ms: Date.parse("2026-11-22T13:03:00Z"),
      text: "2026-11-22 13:03:00.000000+00",
    });
    expect(parseMoment("2026-11-22T14:03:00.123456-0330").text).toBe("2026-11-22 17:33:00.123456+00");
    expect(parseMoment("2026-11-22 14:03Z").text).toBe("2026-11-22 14:03:00.000000+00");
  });

  it.each([
    ["2026-11-22 14:03:00", /does not say its offset from UTC, and budgie:timezone is not taken for it/],
    ["2026-02-31 14:03:00Z", /is not in the calendar/],
    ["2026-11-22 24:03:00Z", /is not in the calendar/],
    ["2026-11-22 14:03:00+16", /has an offset that no place on earth has/],
    ["yesterday", /is not a moment/],
    ["", /is not a moment/],
  ])("%j is refused", (text, message) => {
    expect(() => parseMoment(text)).toThrow(message);
  });

  it("is told from a backup's name, and what to type next is the command that was typed", () => {
    expect(["2026-11-22 14:03Z", "2026-11-22T14", " 2026-11-22"].map(meansMoment)).toEqual([
      true,
      true,
      true,
    ]);
    expect(["latest", "budgie_20251125_092704.sql", "2026-11-22.sql"].map(meansMoment)).toEqual([
      false,
      false,
      false,
    ]);
    expect(() => parseMoment("2026-11-22", at => `look ${at}`)).toThrow(
      expect.objectContaining({ next: "For instance: look 2026-11-22 14:03:00+01" }),
    );
  });

  it("is the same moment however it is written", () => {
    const date = fc.date({ min: new Date("1980-01-01"), max: new Date("2100-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(date, fc.integer({ min: -15 * 60, max: 15 * 60 }), (at, offset) => {
        const local = new Date(at.getTime() + offset * MINUTE).toISOString().slice(0, 23);
        const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map(part =>
          String(part).padStart(2, "0"),
        );
        const { ms, text } = parseMoment(`${local}${offset < 0 ? "-" : "+"}${hours}:${minutes}`);
        expect(ms).toBe(at.getTime());
        expect(Date.parse(`${text.slice(0, 23).replace(" ", "T")}Z`)).toBe(ms);
      }),
    );
  });
});

describe("names of WAL", () => {
  it("are PostgreSQL's own", () => {
    expect(segmentAt(1, parseLsn("0/3000060"), SEGMENT_BYTES)).toBe("000000010000000000000003");
    expect(nextSegment("0000000100000000000000FF", SEGMENT_BYTES)).toBe("000000010000000100000000");
    expect(endOfSegment("000000010000000100000000", SEGMENT_BYTES)).toBe(parseLsn("1/1000000"));
  });

  it("lead there and back", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 60n), fc.integer({ min: 20, max: 30 }), (lsn, exponent) => {
        const bytes = 2 ** exponent;
        const name = segmentAt(3, lsn, bytes);
        const end = endOfSegment(name, bytes);
        expect(end > lsn && end - BigInt(bytes) <= lsn).toBe(true);
        expect(nextSegment(name, bytes)).toBe(segmentAt(3, end, bytes));
        expect(nextSegment(name, bytes) > name).toBe(true);
      }),
    );
  });

  it("say of a compressed segment until when it covers, and what is in it", () => {
    const file = sealedName(segment(3), START + 123, "4f2a9c01d3e7ffff");
    expect(file).toBe("000000010000000000000003_20261101T000000123Z-4f2a9c01d3e7.gz");
    expect(parseSealedName(file)).toEqual({
      file,
      segment: segment(3),
      coversUntil: START + 123,
      hash: "4f2a9c01d3e7",
    });
    expect(parseSealedName("000000010000000000000003.gz")).toBeNull();
    const chain = "20261101T000000Z_1";
    const key = segmentKey("dev/", chain, { file });
    expect(key).toBe(`dev/point-in-time/${chain}/wal/${file}`);
    expect(parseChainKey(key.slice("dev/".length))).toEqual({ chain, part: "wal", file });
    expect(baseKeys("dev/", chain, base(1, START)).record).toBe(
      `dev/point-in-time/${chain}/base/20261101T000000Z-000000000000.json`,
    );
  });
});

describe("which moments can be gone back to", () => {
  it("those from a base backup to where its WAL leads without a gap", () => {
    const chain = chainOf({
      bases: [base(2, START + 2 * MINUTE)],
      sealed: [1, 2, 3, 5],
      received: [4],
      partial: 6,
    });
    expect(recoverables([chain])).toMatchObject([
      { from: START + 2 * MINUTE, until: START + 5 * MINUTE, segments: [2, 3, 4, 5, 6].map(segment) },
    ]);
  });

  it("as far as the mark says when its position is there", () => {
    const bases = [base(2, START + 2 * MINUTE)];
    const mark = { at: START + 7 * MINUTE, lsn: BigInt(6 * SEGMENT_BYTES + 5) };
    const whole = chainOf({ bases, sealed: [2, 3, 4, 5], partial: 6, mark });
    expect(recoverables([whole])[0]?.until).toBe(START + 7 * MINUTE);
    const cut = chainOf({ bases, sealed: [2, 3, 5], partial: 6, mark });
    expect(recoverables([cut])[0]?.until).toBe(START + 3 * MINUTE);
  });

  it("none from a base backup that lacks its own WAL, or whose end no WAL is known to cover", () => {
    expect(recoverables([chainOf({ bases: [base(2, START)], sealed: [3] })])).toEqual([]);
    expect(recoverables([chainOf({ bases: [base(2, START + 5 * MINUTE)], sealed: [2] })])).toEqual([]);
  });

  it("the newest base backup before the moment is taken, and none for a moment in a gap", () => {
    const first = chainOf({ bases: [base(1, START), base(3, START + 3 * MINUTE)], sealed: [1, 2, 3, 4] });
    const later = START + 10 * MINUTE;
    const second = chainOf({ startedAt: later, bases: [base(20, later)], sealed: [20] });
    const all = recoverables([first, second]);
    expect(pickBase(all, START + 2 * MINUTE)?.from).toBe(START);
    expect(pickBase(all, START + 3 * MINUTE)?.from).toBe(START + 3 * MINUTE);
    expect(pickBase(all, START + 5 * MINUTE)).toBeNull();
    expect(joinRanges(all)).toEqual([
      { from: START, until: START + 4 * MINUTE },
      { from: later, until: later + 20 * MINUTE },
    ]);
  });

  it("never more than there is: whatever segments are missing, what is promised has all its WAL", () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 12 }));
    fc.assert(
      fc.property(numbers, numbers, fc.integer({ min: 0, max: 12 }), (sealed, received, at) => {
        const bases = [base(at, START + at * MINUTE)];
        const chain = chainOf({
          bases,
          sealed: [...sealed].sort((a, b) => a - b),
          received: [...received].sort((a, b) => a - b),
        });
        const found = recoverableFrom(chain, bases[0] ?? base(0, 0));
        const there = new Set([...sealed, ...received]);
        if (!found) return;
        const last = (found.until - START) / MINUTE;
        for (let number = at; number <= last; number++)
          expect(there.has(number), `segment ${number}`).toBe(true);
      }),
    );
  });
});

describe("the base backups of one chain", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 14 }), { maxLength: 15 });

  it("each lead to what they would lead to alone", () => {
    fc.assert(
      fc.property(
        numbers,
        numbers,
        numbers,
        fc.integer({ min: 0, max: 15 }),
        (at, sealed, received, partial) => {
          const order = (some: number[]) => [...some].sort((a, b) => a - b);
          const chain = chainOf({
            bases: order(at).map(number => base(number, START + number * MINUTE)),
            sealed: order(sealed),
            received: order(received),
            partial,
            mark: { at: START + 20 * MINUTE, lsn: BigInt(partial * SEGMENT_BYTES) },
          });
          const alone = chain.bases.flatMap(one => recoverableFrom(chain, one) ?? []);
          const all = recoverables([chain]);
          expect(all.map(({ chain: _, ...found }) => found)).toEqual(
            alone.map(({ chain: _, ...found }) => found),
          );
        },
      ),
    );
  });

  it("go on over the end of a log of 4 GB", () => {
    expect(nextSegment("0000000100000000000000FF", SEGMENT_BYTES)).toBe("000000010000000100000000");
    expect(nextSegment("00000001FFFFFFFE00000FFF", 2 ** 20)).toBe("00000001FFFFFFFF00000000");
    expect(nextSegment("000000010000000000000003", 2 ** 30)).toBe("000000010000000100000000");
  });
});

describe("a gap in the WAL", () => {
  it("is the first segment missing behind the newest base backup", () => {
    const bases = [base(1, START), base(3, START + 3 * MINUTE)];
    expect(missingSegment(chainOf({ bases, sealed: [1, 3, 4], received: [5], partial: 6 }))).toBeNull();
    expect(missingSegment(chainOf({ bases, sealed: [1, 2, 3, 5] }))).toBe(segment(4));
    expect(missingSegment(chainOf({ bases, sealed: [1, 2], partial: 5 }))).toBe(segment(3));
    expect(missingSegment(chainOf({ sealed: [1, 5] }))).toBeNull();
  });

  it("is another database, another timeline, and a database that went back in time", () => {
    const chain = chainOf({ bases: [base(1, START)], sealed: [1], mark: { at: START, lsn: 50n } });
    expect(whyUnfit(chain, position)).toBeNull();
    expect(whyUnfit(chain, { ...position, systemIdentifier: "2" })).toBe("the database is another one");
    expect(whyUnfit(chain, { ...position, timeline: 2 })).toContain("timeline 2");
    expect(whyUnfit(chain, { ...position, lsn: 49n })).toContain("at an earlier moment");
  });

  it("shows by what the receiver asks for next", () => {
    expect(nextWanted(chainOf({}), SEGMENT_BYTES)).toBeNull();
    expect(nextWanted(chainOf({ sealed: [1], received: [2], partial: 3 }), SEGMENT_BYTES)).toBe(segment(3));
    expect(nextWanted(chainOf({ sealed: [1], received: [2] }), SEGMENT_BYTES)).toBe(segment(3));
    expect(nextWanted(chainOf({ sealed: [1] }), SEGMENT_BYTES)).toBe(segment(2));
  });

  it("is red, with what to do, while nothing is received", () => {
    expect(judgeReceiving({ ...position, slot })).toEqual([]);
    expect(judgeReceiving(position)[0]).toContain("the server has no replication slot for it");
    expect(judgeReceiving({ ...position, slot: { ...slot, active: false } })[0]).toContain("for 1G more");
    expect(judgeReceiving({ ...position, slot: { ...slot, walStatus: "lost" } })[0]).toContain(
      "has removed WAL",
    );
    expect(judgeReceiving({ ...position, slot: { ...slot, lagBytes: 2 ** 28 } })[0]).toContain("256M behind");
  });

  it("stays red for a day after it was closed", () => {
    const gaps = [{ from: START, until: START + MINUTE }];
    expect(judgeGaps(gaps, null, new Date(START + DAY))[0]).toContain(
      "No moment between 2026-11-01 00:00:00.000 UTC",
    );
    expect(judgeGaps(gaps, null, new Date(START + 2 * DAY))).toEqual([]);
  });
});

describe("a chain of another version of PostgreSQL", () => {
  const older = { ...base(1, START), serverVersion: "16.14" };
  const newer = { ...base(1, START + DAY), serverVersion: "17.10" };
  const all = [
    recoverableFrom(chainOf({ bases: [older], sealed: [1, 2, 3] }), older),
    recoverableFrom(chainOf({ bases: [newer], sealed: [1, 2, 3], startedAt: START + DAY }), newer),
  ].filter(found => found !== null);
  const [one, two] = all as [Recoverable, Recoverable];

  it("is refused before a server tries to open it, with the way to those moments", () => {
    expect(() => refuseOtherVersion(one, "17")).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("were written by PostgreSQL 16, and this stack runs 17"),
        next: expect.stringContaining("npx budgie upgrade --undo"),
      }),
    );
    expect(() => refuseOtherVersion(two, "17")).not.toThrow();
    expect(() => refuseOtherVersion(one, null)).not.toThrow();
  });

  it("is no moment that can be gone back to, and the status says who can", () => {
    const { own, notes } = ofOwnVersion(all, "17");
    expect(own).toEqual([two]);
    expect(notes).toEqual([
      "Moments from 2026-11-01 00:00:00.000 UTC to 2026-11-01 00:03:00.000 UTC were recorded by PostgreSQL 16, which alone can go back to them: npx budgie upgrade --undo",
    ]);
    expect(ofOwnVersion(all, "16").own).toEqual([one]);
    expect(ofOwnVersion(all, null)).toEqual({ own: all, notes: [] });
  });
});
