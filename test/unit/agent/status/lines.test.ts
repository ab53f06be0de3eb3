import { describe, expect, it } from "vitest";
import { emptyFiling, filedUnder, under } from "../../../../agent/status/filing.ts";
import { judgeLastLook } from "../../../../agent/status/last-look.ts";
import { noteProof } from "../../../../agent/status/recovery.ts";
import {
  judgePages,
  judgeSlots,
  noteConnections,
  type Slot,
} from "../../../../agent/status/server-figures.ts";

const MB = 2 ** 20;
const slot = (name: string, retainedMegabytes: number | null, active = false): Slot => ({
  name,
  kind: "physical",
  database: null,
  active,
  retainedBytes: retainedMegabytes === null ? null : retainedMegabytes * MB,
  walStatus: "reserved",
});

describe("replication slots", () => {
  it.each([
    ["an idle one that holds little", slot("s", 10), 0, 0],
    ["an idle one that holds more", slot("s", 100), 0, 1],
    ["an idle one that fills the disk", slot("s", 300), 1, 0],
    ["one that is read from", slot("s", 300, true), 0, 0],
    ["one whose reader is far behind", slot("s", 5000, true), 0, 1],
    ["one that is lost and holds nothing", slot("s", null), 0, 0],
  ])("%s", (_, judged, problems, notes) => {
    const found = judgeSlots([judged], []);
    expect([found.problems.length, found.notes.length]).toEqual([problems, notes]);
  });

  it("name how they are dropped, and are left to whoever has judged them", () => {
    expect(judgeSlots([slot("old_standby", 300)], []).problems.join()).toContain(
      `npx budgie psql -- -c "SELECT pg_drop_replication_slot('old_standby')"`,
    );
    expect(judgeSlots([slot("old_standby", 300)], ["old_standby"]).problems).toEqual([]);
    expect(judgeSlots([slot("budgie_point_in_time", 300)], []).problems.join()).toContain("switched off");
  });
});

it("damaged pages and full connections are told", () => {
  expect(judgePages({ damagedPages: 2 }).join()).toContain("2 damaged pages");
  expect(judgePages({ damagedPages: 0 })).toEqual([]);
  const figures = { maxConnections: 100 } as Parameters<typeof noteConnections>[0];
  expect(noteConnections({ ...figures, connections: 89 })).toEqual([]);
  expect(noteConnections({ ...figures, connections: 95 }).join()).toContain("95 of 100");
});

describe("a proof", () => {
  const now = new Date("2026-11-22T12:00:00Z");
  const backup = (drillAt: string | null) =>
    ({
      flaw: null,
      drill: drillAt === null ? null : { at: drillAt, outcome: "good" },
    }) as Parameters<typeof noteProof>[0][number];

  it.each([
    ["that is missing is a note", [backup(null)], /No backup has been proven/],
    ["of last week is enough", [backup(null), backup("2026-11-15T02:00:00Z")], /^$/],
    ["that is older is a note", [backup(null), backup("2026-11-10T02:00:00Z")], /12 days old/],
    ["of nothing is no note: that is a problem already", [], /^$/],
  ])("%s", (_, entries, says) => {
    expect(noteProof(entries, now).join()).toMatch(says);
  });
});

it("an agent that hangs is told, and one that has just started is not", () => {
  const look = { at: "2026-11-22T12:00:00Z", until: "2026-11-22T12:04:00Z" };
  expect(judgeLastLook(look, new Date("2026-11-22T12:03:00Z"))).toEqual([]);
  expect(judgeLastLook(look, new Date("2026-11-22T12:05:00Z")).join()).toContain("npx budgie restart backup");
  expect(judgeLastLook(null, new Date())).toEqual([]);
});

it("a sentence that nobody has filed is under `other`, so that none is lost", async () => {
  const filing = emptyFiling();
  await under(filing, "disk", () => void filing.problems.push("full"));
  filing.problems.push("something new");
  expect(filedUnder(filing, "disk").problems).toEqual(["full"]);
  expect(filedUnder(filing, "other").problems).toEqual(["something new"]);
});
