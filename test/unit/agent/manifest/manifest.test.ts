import { expect, it } from "vitest";
import { type Manifest, manifestText, parseManifest } from "../../../../agent/manifest/manifest.ts";
import { takenAt } from "../../../support/retention/taken-at.ts";

it("a manifest with a reason that no backup is taken for any more is read", () => {
  const { manifest } = takenAt(new Date("2026-11-22T02:00:00Z"));
  const old: Manifest = { ...(manifest as Manifest), reason: "before-destroy" };
  expect(parseManifest(manifestText(old))).toMatchObject({
    found: true,
    record: { reason: "before-destroy" },
  });
});
