import { describe, expect, it } from "vitest";
import { unfinishedUpgrade } from "../../../../components/prepare/unfinished-upgrade.ts";

const KEPT = { name: "budgie-postgres-data-pg16-20261122-140300", from: "16", to: "17", isBack: false };
const WHOLE = "sha256 of all: 0f0f;";
const volume = (version: string, note: string, emptied = "") =>
  `version: ${version}\nemptied: ${emptied}\n0: ${note}\n`;

describe("an upgrade of PostgreSQL that has not ended", () => {
  it("stops an `up` on the emptied volume, with the way on and the way back", () => {
    expect(unfinishedUpgrade(volume("", WHOLE), [KEPT], "17")).toBe(
      [
        "An upgrade from PostgreSQL 16 to 17 was begun and has not ended. All of the data of before is in the volume budgie-postgres-data-pg16-20261122-140300. Nothing was changed.",
        "Go on with it:",
        "  npx budgie upgrade",
        "Or go back to PostgreSQL 16:",
        "  npx budgie upgrade --undo",
      ].join("\n"),
    );
  });

  it("says which setting it needs where that was put back by hand", () => {
    for (const emptied of [volume("", WHOLE), volume("17", WHOLE), volume("16", WHOLE, KEPT.name)]) {
      const says = unfinishedUpgrade(emptied, [KEPT], "16");
      expect(says).toContain("budgie:postgresVersion is 16 meanwhile, and the volume is not that server's.");
      expect(says).toContain(
        "  npm run pulumi -- config set budgie:postgresVersion 17\n  npx budgie upgrade\n",
      );
    }
  });

  it("on its way back has one way on", () => {
    const back = { ...KEPT, from: "17", to: "16", isBack: true };
    const says = unfinishedUpgrade(volume("", WHOLE), [back], "17");
    expect(says).toContain("The way back from PostgreSQL 17 to 16 was begun and has not ended.");
    expect(says).toMatch(/Go on with it:\n {2}npx budgie upgrade --undo$/);
  });

  it("is none where the volume is the settings' own, the copy was never whole, or the database is back", () => {
    expect(unfinishedUpgrade(volume("17", WHOLE), [KEPT], "17")).toBeUndefined();
    expect(unfinishedUpgrade(volume("16", WHOLE), [KEPT], "16")).toBeUndefined();
    expect(unfinishedUpgrade(volume("16", ""), [KEPT], "17")).toBeUndefined();
    expect(unfinishedUpgrade(volume("", `${WHOLE}the database is back;`), [KEPT], "17")).toBeUndefined();
    expect(unfinishedUpgrade("", [], "17")).toBeUndefined();
  });
});
