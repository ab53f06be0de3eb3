import { describe, expect, it } from "vitest";
import { shownAge } from "../../../../agent/base/shown-age.ts";
import {
  type Candidate,
  chooseLatest,
  decisionNeeded,
  describeLatest,
  type LatestQuestion,
} from "../../../../agent/catalogue/latest.ts";
import type { Manifest } from "../../../../agent/manifest/manifest.ts";
import { EXIT, type Stop } from "../../../../shared/exit-codes.ts";
import { takenAt } from "../../../support/retention/taken-at.ts";

const NOW = new Date("2026-11-26T12:00:00Z");
const ASKED: LatestQuestion = {
  stack: "dev",
  fromStack: null,
  from: null,
  place: "./backups",
  now: NOW,
};

const hoursAgo = (hours: number) => new Date(NOW.getTime() - hours * 3_600_000);

/** A good backup of stack dev, from server 1, with 1000 rows, unless `differs` says otherwise. */
function taken(hours: number, differs: Partial<Manifest> & { rows?: number; flaw?: string } = {}): Candidate {
  const { rows = 1000, flaw = null, ...manifest } = differs;
  const backup = takenAt(hoursAgo(hours));
  const tables = [{ name: "public.entries", copy: "", rows, sha256: "" }];
  return {
    name: backup.name,
    manifest: { ...(backup.manifest as Manifest), systemIdentifier: "1", tables, ...manifest },
    flaw,
  };
}

const withoutManifest = (hours: number): Candidate => ({
  ...taken(hours),
  manifest: null,
  flaw: "no manifest",
});

function stopOf(work: () => unknown): Stop {
  try {
    work();
  } catch (error) {
    return error as Stop;
  }
  throw new Error("nothing was refused");
}

const decide = (candidates: Candidate[], asked: Partial<LatestQuestion> = {}) =>
  decisionNeeded(chooseLatest(candidates, { ...ASKED, ...asked }), { ...ASKED, ...asked });

describe("what `restore latest` takes", () => {
  it("is the newest, and its age is said", () => {
    const latest = chooseLatest([taken(75), taken(99)], ASKED);
    expect(decisionNeeded(latest, ASKED)).toBeNull();
    expect(describeLatest(latest, ASKED)).toEqual({
      chosen:
        "latest is budgie_20261123_090000.sql, of 3 days ago (2026-11-23 09:00 UTC). Tables: 1, rows: 1000",
      passedOver: [],
    });
  });

  it.each([
    ["failed its drill", taken(2, { flaw: "failed its drill of 2026-11-26: the rows of public.entries" })],
    ["has another size", taken(2, { flaw: "900 bytes, its manifest says 1000" })],
    ["has no manifest", withoutManifest(2)],
    [
      "says of itself another time than its name",
      taken(2, { startedAt: hoursAgo(300).toISOString(), finishedAt: hoursAgo(300).toISOString() }),
    ],
    ["is from the future by a clock that was wrong", taken(-24 * 365 * 4)],
    ["is from the future, without a manifest", withoutManifest(-24 * 365 * 4)],
  ])("must be confirmed when a newer one %s", (_what, newer) => {
    const stop = decide([newer, taken(75)]);
    expect(stop?.code).toBe(EXIT.notConfirmed);
    expect(stop?.message).toContain("budgie_20261123_090000.sql, is of 3 days ago");
    expect(stop?.message).toContain(newer.name);
    expect(stop?.next).toBe(
      "To restore budgie_20261123_090000.sql all the same: npx budgie restore latest --allow-older.",
    );
  });

  it("names what is from the future, and never takes it", () => {
    const stop = decide([taken(-24 * 365 * 4), taken(75)]);
    expect(stop?.message).toContain(
      "budgie_20301125_120000.sql (from the future: it says that it was taken at 2030-11-25 12:00 UTC)",
    );
    expect(stopOf(() => chooseLatest([taken(-24 * 365 * 4)], ASKED)).message).toContain("from the future");
  });

  it("may be a little ahead of this machine's clock", () => {
    expect(decide([taken(-0.5), taken(75)])).toBeNull();
  });

  it("says what was passed over once that was decided", () => {
    const latest = chooseLatest([withoutManifest(2), taken(75)], ASKED);
    expect(describeLatest(latest, ASKED).passedOver).toEqual([
      `Passed over, although it is newer: ${withoutManifest(2).name} (no manifest)`,
    ]);
  });

  it("is no older one because of another database's backup, which is told, and never the way back", () => {
    const accident = taken(1, { identity: "unexpected", systemIdentifier: "2", flaw: "of another database" });
    const latest = chooseLatest([accident, taken(75)], ASKED);
    expect(decisionNeeded(latest, ASKED)).toBeNull();
    expect(describeLatest(latest, ASKED).passedOver).toEqual([
      `Passed over, because it is of another database: ${accident.name} (rows: 1000)`,
    ]);
  });

  it("has nothing to do with another stack's, be they newer and bad", () => {
    expect(
      decide([taken(1, { stack: "prod", flaw: "900 bytes, its manifest says 1000" }), taken(75)]),
    ).toBeNull();
  });

  it("names what is there when nothing counts", () => {
    const stop = stopOf(() => chooseLatest([withoutManifest(2)], ASKED));
    expect(stop.code).toBe(EXIT.unusableBackup);
    expect(stop.message).toBe(
      "There is no backup of stack dev in ./backups that counts: budgie_20261126_100000.sql (no manifest).",
    );
    expect(stopOf(() => chooseLatest([], ASKED)).message).toBe(
      "There is no backup of stack dev in ./backups.",
    );
  });
});

describe("on a new server", () => {
  const ownAndEmpty = taken(1, { systemIdentifier: "2", rows: 2 });

  it("the backup that was brought along is named first, not the new database's own empty one taken", () => {
    const stop = decide([ownAndEmpty, taken(75)]);
    expect(stop?.code).toBe(EXIT.notConfirmed);
    expect(stop?.message).toBe(
      "budgie_20261123_090000.sql, of another server and of 3 days ago, holds 1000 rows; the newest of this database, budgie_20261126_110000.sql, holds 2.",
    );
    expect(stop?.next).toMatch(
      /^To restore the fuller one: npx budgie restore budgie_20261123_090000\.sql\. .*--allow-older\.$/,
    );
  });

  it("the same of another stack, with the line that allows it", () => {
    const stop = decide([ownAndEmpty, taken(75, { stack: "prod" })]);
    expect(stop?.message).toContain("of stack prod and of 3 days ago, holds 1000 rows");
    expect(stop?.next).toContain("npx budgie restore budgie_20261123_090000.sql --from-stack prod.");
  });

  it("another stack's newest is what --from-stack asks for", () => {
    const both = [ownAndEmpty, taken(75, { stack: "prod" }), taken(99, { stack: "prod" })];
    const asked = { ...ASKED, fromStack: "prod" };
    const latest = chooseLatest(both, asked);
    expect(latest.chosen.name).toBe("budgie_20261123_090000.sql");
    expect(decisionNeeded(latest, asked)).toBeNull();
    const withFuture = decide([taken(-9999, { stack: "prod" }), ...both], { fromStack: "prod" });
    expect(withFuture?.next).toContain("npx budgie restore latest --from-stack prod --allow-older");
  });

  it("with nothing but another stack's backups, the line is said that restores them", () => {
    const stop = stopOf(() => chooseLatest([taken(75, { stack: "prod" })], ASKED));
    expect(stop.next).toBe("There is one of stack prod: npx budgie restore latest --from-stack prod");
  });

  it("nothing is asked once the data is there, nor when it shrinks afterwards", () => {
    const moved = taken(50, { systemIdentifier: "2" });
    expect(decide([moved, taken(75)])).toBeNull();
    expect(decide([taken(1, { systemIdentifier: "2", rows: 3 }), moved, taken(75)])).toBeNull();
  });
});

it("in the bucket, the lines name the bucket", () => {
  const stop = decide([withoutManifest(1), taken(5, { systemIdentifier: "2", rows: 0 }), taken(75)], {
    from: "s3",
  });
  expect(stop?.next).toContain("npx budgie restore budgie_20261123_090000.sql --from s3.");
  expect(stop?.next).toContain("npx budgie restore latest --from s3 --allow-older.");
});

it.each([
  [0, "less than a minute"],
  [-1000, "less than a minute"],
  [60_000, "1 minute"],
  [3_600_000 * 5, "5 hours"],
  [3_600_000 * 24, "1 day"],
  [3_600_000 * 24 * 400, "400 days"],
])("an age of %d ms is shown as %s", (milliseconds, shown) => {
  expect(shownAge(milliseconds)).toBe(shown);
});
