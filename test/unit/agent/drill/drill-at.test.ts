import { describe, expect, it } from "vitest";
import { parseDamage } from "../../../../agent/drill/check-relations.ts";
import { valuesAhead } from "../../../../agent/drill/compare-recovered.ts";
import {
  judgePointInTimeDrill,
  type PointInTimeDrill,
} from "../../../../agent/point-in-time/drill-record.ts";
import { leadsToPosition } from "../../../../agent/point-in-time/recoverable.ts";
import { isDrillAtDue } from "../../../../agent/schedule/scheduled-backup.ts";
import {
  base,
  chainOf,
  DAY,
  MINUTE,
  recoverableFrom,
  SEGMENT_BYTES,
  START,
} from "../../../support/retention/wal-chain.ts";

const good: PointInTimeDrill = {
  at: new Date(START).toISOString(),
  outcome: "good",
  why: null,
  next: null,
  backup: "budgie_20261101_000000.sql",
  base: "20261101T000000Z",
  moment: new Date(START).toISOString(),
  serverVersion: "16.14",
  seconds: 3,
  notChecked: null,
};
const bad: PointInTimeDrill = { ...good, outcome: "bad", why: "a is not b", next: "Type this" };

describe("a drill of point in time", () => {
  it("is due each week, after a change of version, and after each backup while the last one failed", () => {
    const after = (days: number) => new Date(START + days * DAY);
    expect(isDrillAtDue(null, "16.14", after(0))).toBe(true);
    expect(isDrillAtDue(good, "16.14", after(6.9))).toBe(false);
    expect(isDrillAtDue(good, "16.14", after(7))).toBe(true);
    expect(isDrillAtDue(good, "16.15", after(1))).toBe(true);
    expect(isDrillAtDue(good, "16.14", after(-1))).toBe(true);
    expect(isDrillAtDue(bad, "16.14", after(0.1))).toBe(true);
  });

  it("is a problem while it failed, and a note when it is old, never was, or has left something out", () => {
    const judge = (drill: PointInTimeDrill | null, days: number) =>
      judgePointInTimeDrill(drill, START, new Date(START + days * DAY));
    expect(judge(good, 1)).toEqual({ problems: [], notes: [] });
    expect(judge(bad, 1).problems).toEqual([
      "Going back to 2026-11-01 00:00:00.000 UTC failed its drill of 2026-11-01: a is not b. Type this",
    ]);
    expect(judge(good, 10).notes[0]).toContain(
      "was proven 10 days ago. Prove it again: npx budgie drill --at",
    );
    expect(judge(null, 1).notes).toEqual([]);
    expect(judge(null, 10).notes[0]).toContain("has not been proven yet");
    expect(judge({ ...good, notChecked: "there is no pg_amcheck" }, 1).notes[0]).toContain("no pg_amcheck");
  });

  it("ends at a position that comes after its base backup, and up to which the WAL is here", () => {
    const content = chainOf({
      bases: [base(1, START)],
      sealed: [1, 2],
      partial: 3,
      mark: { at: START + 5 * MINUTE, lsn: BigInt(3 * SEGMENT_BYTES + 500) },
    });
    const [one] = content.bases;
    const recoverable = one && recoverableFrom(content, one);
    if (!recoverable) throw new Error("nothing to recover");
    const leads = (position: number, timeline = 1) =>
      leadsToPosition(recoverable, { timeline, lsn: `0/${position.toString(16)}` });
    expect(leads(SEGMENT_BYTES + 0xff)).toBe(false);
    expect(leads(SEGMENT_BYTES + 0x100)).toBe(true);
    expect(leads(3 * SEGMENT_BYTES + 500)).toBe(true);
    expect(leads(3 * SEGMENT_BYTES + 501)).toBe(false);
    expect(leads(2 * SEGMENT_BYTES, 2)).toBe(false);
  });
});

describe("what pg_amcheck reports", () => {
  it("is told by relation, the first of each", () => {
    const output = [
      'heap table "budgie_dev.public.users", block 0, offset 3, attribute 2:',
      "    attribute with length 4294967295 ends at offset 416848000 beyond total tuple length 58",
      'heap table "budgie_dev.public.users", block 1, offset 1:',
      "    something else",
      'btree index "budgie_dev.public.users_pkey":',
      '    ERROR:  item order invariant violated for index "users_pkey"',
      "    DETAIL:  Lower index tid=(1,1)",
      'heap table "budgie_dev.odd.a, block 3":',
      "    ERROR:  invalid page in block 0 of relation base/5/16384",
      "",
    ].join("\n");
    expect(parseDamage(output, "budgie_dev")).toEqual([
      {
        kind: "table",
        name: "public.users",
        why: "block 0, offset 3, attribute 2: attribute with length 4294967295 ends at offset 416848000 beyond total tuple length 58",
      },
      {
        kind: "index",
        name: "public.users_pkey",
        why: 'item order invariant violated for index "users_pkey"',
      },
      expect.objectContaining({ kind: "table", why: "invalid page in block 0 of relation base/5/16384" }),
    ]);
    expect(parseDamage("", "budgie_dev")).toEqual([]);
  });
});

describe("a sequence after a recovery", () => {
  const up = { increment: "5", values: "100", cycles: false };
  it.each([
    [up, "10", "10", 0n],
    [up, "10", "170", 32n],
    [up, "10", "5", -1n],
    [{ ...up, increment: "-5" }, "100", "90", 2n],
    [{ ...up, increment: "-5" }, "100", "110", -2n],
    [{ ...up, cycles: true }, "96", "6", 2n],
    [
      { increment: "1", values: "18446744073709551615", cycles: false },
      "9223372036854775000",
      "9223372036854775032",
      32n,
    ],
  ])("%o from %s to %s is %s ahead", (traits, wanted, is, ahead) => {
    expect(valuesAhead({ value: wanted }, { value: is }, traits)).toBe(ahead);
  });
});
