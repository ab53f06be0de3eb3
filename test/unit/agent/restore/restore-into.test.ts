import { describe, expect, it } from "vitest";
import { changesBetween } from "../../../../agent/restore/dry-run.ts";
import { requireNewName } from "../../../../agent/restore/restore-into.ts";
import { noteSetAside } from "../../../../agent/status/note-set-aside.ts";
import { EXIT } from "../../../../shared/exit-codes.ts";

describe("the name of a database that a restore leaves beside", () => {
  it.each(["looking_back", "_x", "Before-Migration", "a".repeat(63), "budgie_dev_2"])("may be %s", name => {
    expect(() => requireNewName("budgie_dev", name)).not.toThrow();
  });

  it.each([
    "",
    'odd"name',
    "it's",
    "-d",
    "dbname=postgres",
    "two words",
    "1st",
    "ledger\n",
    "größe",
    "a".repeat(64),
    "postgres",
    "template0",
    "template1",
    "budgie_dev",
    "budgie_dev_candidate",
    "budgie_dev_candidate_schema",
    "budgie_dev_before_20251125_092704",
    "other_before_20251125_092704",
  ])("may not be %j", name => {
    expect(() => requireNewName("budgie_dev", name)).toThrow(
      expect.objectContaining({ code: EXIT.usage, next: expect.stringContaining("--into looking_back") }),
    );
  });
});

describe("what a restore would replace", () => {
  it("is each table that is not in both, has other rows, or could not be counted", () => {
    const now = new Map<string, number | null>([
      ["public.same", 5],
      ["public.grown", 7],
      ["public.locked", null],
      ["public.later", 0],
    ]);
    const backup = new Map([
      ["public.same", 5],
      ["public.grown", 6],
      ["public.locked", 1],
      ["public.gone", 2],
    ]);
    expect(changesBetween(now, backup)).toEqual([
      { table: "public.gone", now: null, backup: 2 },
      { table: "public.grown", now: 7, backup: 6 },
      { table: "public.later", now: 0, backup: null },
      { table: "public.locked", now: "not counted", backup: 1 },
    ]);
    expect(changesBetween(null, new Map([["public.a", 0]]))).toEqual([
      { table: "public.a", now: null, backup: 0 },
    ]);
  });
});

describe("the status of what restores set aside", () => {
  const now = new Date("2026-03-01T00:00:00Z");
  const at = (day: string | null, bytes: number) => ({
    name: `of ${day}`,
    at: day === null ? null : new Date(day),
    bytes,
  });

  it("says nothing for a month, nor of what nobody knows the age of", () => {
    expect(noteSetAside([at("2026-02-20", 1), at(null, 1)], now)).toEqual([]);
  });

  it("then says what they take together, and what to type", () => {
    const told = noteSetAside(
      [at("2026-02-20", 2 ** 30), at("2026-01-20", 2 ** 20), at("2025-01-01", 2 ** 20)],
      now,
    );
    expect(told).toEqual([
      "2 databases that restores set aside more than 30 days ago take 2M. If nobody wants the data of then any more: npx budgie drop-previous --older-than 30",
    ]);
  });
});
