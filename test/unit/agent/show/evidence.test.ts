import { expect, it } from "vitest";
import { evidenceOf, evidenceText } from "../../../../agent/show/evidence.ts";
import { ofADay, ofAYear, ofNone } from "../../../support/status/shown.ts";

const KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

it("one page shows what was proven, how far one can go back, how long it takes, where the copies are", () => {
  const { status, backups } = ofAYear();
  const evidence = evidenceOf({ recipients: [KEY] }, status, backups);
  expect(evidence).toMatchObject({
    proofsInNinetyDays: 13,
    recoveryTimeSeconds: 12.5,
    lastDrill: { outcome: "done" },
  });
  expect(evidence.keys).toEqual([{ fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) }]);
  const text = evidenceText(evidence);
  for (const says of [
    "| newest proven backup | budgie_",
    "| measured time of a restore | 13 s |",
    "## What is wrong",
  ])
    expect(text).toContain(says);
  expect(text).not.toContain(KEY);
});

it("what nobody measured is said to be so", () => {
  const { status, backups } = ofNone();
  const bare = {
    ...status,
    database: null,
    backups: { ...status.backups, newest: null, newestProven: null },
    recovery: { pointAt: null, seconds: null },
    lastDrill: null,
    lastRestore: null,
    offsite: null,
    offsiteSsh: null,
  };
  const text = evidenceText(evidenceOf({ recipients: [] }, bare, backups));
  for (const says of [
    "| newest proven backup | none |",
    "| measured time of a restore | not measured |",
    "| copies elsewhere | none |",
    "| last drill | none is known of |",
    "| keys that open the copies | none: copies are not encrypted |",
    "| can be gone back to | not known to not known |",
  ])
    expect(text).toContain(says);
});

it("a page of one day is whole", () => {
  const { status, backups } = ofADay();
  expect(evidenceText(evidenceOf({ recipients: [] }, status, backups))).not.toContain("## What is wrong");
});
