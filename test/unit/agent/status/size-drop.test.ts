import { expect, it } from "vitest";
import { noteSizeDrop } from "../../../../agent/status/size-drop.ts";

type Entries = Parameters<typeof noteSizeDrop>[0];

/** Newest first, each by the rows of its tables. */
const backups = (...each: Record<string, number>[]): Entries =>
  each.map((tables, day) => ({
    name: `budgie_202611${22 - day}_020000.sql`,
    flaw: null,
    manifest: {
      systemIdentifier: "1",
      database: "budgie_dev",
      tables: Object.entries(tables).map(([name, rows]) => ({ name: `public.${name}`, rows })),
    },
  })) as unknown as Entries;

it.each([
  ["the first backup", [{ entries: 100 }]],
  ["one that grew", [{ entries: 120 }, { entries: 100 }]],
  [
    "one that lost some rows",
    [
      { entries: 90, users: 2 },
      { entries: 100, users: 2 },
    ],
  ],
  [
    "an empty table that stays so",
    [
      { entries: 100, drafts: 0 },
      { entries: 100, drafts: 0 },
    ],
  ],
  ["an empty table that is gone", [{ entries: 100 }, { entries: 100, drafts: 0 }]],
  ["a handful of rows of many tables", [{ a: 4 }, { a: 9 }]],
])("%s is no note", (_, each) => {
  expect(noteSizeDrop(backups(...each))).toEqual([]);
});

it.each([
  [
    "a table that is gone",
    [{ users: 2 }, { entries: 100, users: 2 }],
    "table public.entries (100 rows) is gone",
    "21",
  ],
  [
    "a table that was emptied",
    [
      { entries: 0, users: 2 },
      { entries: 5, users: 2 },
    ],
    "table public.entries (5 rows) is empty",
    "21",
  ],
  [
    "half of all rows",
    [{ entries: 40 }, { entries: 100 }],
    "holds 40 rows; budgie_20261121_020000.sql held 100",
    "21",
  ],
  [
    "what was lost days ago, with the backup that still holds it",
    [{ entries: 0 }, { entries: 0 }, { entries: 0 }, { entries: 100 }],
    "table public.entries (100 rows) is empty",
    "19",
  ],
])("%s is a note that names it", (_, each, says, day) => {
  const [note = "", ...more] = noteSizeDrop(backups(...each));
  expect(more).toEqual([]);
  expect(note).toContain(says);
  expect(note).toContain(`npx budgie pin budgie_202611${day}_020000.sql`);
});

it("backups of another database, and those that do not count, say nothing", () => {
  const [newest, other] = backups({ entries: 1 }, { entries: 100 });
  const of = (differs: object) => [newest, { ...other, ...differs }] as Entries;
  expect(noteSizeDrop(of({ flaw: "of another database" }))).toEqual([]);
  expect(noteSizeDrop(of({ manifest: { ...other?.manifest, systemIdentifier: "2" } }))).toEqual([]);
});
