import { describe, expect, it } from "vitest";
import { chooseListed, refreshDatabase } from "../../../../scripts/restore/refresh.ts";
import type { Stack } from "../../../../scripts/stack/stack-containers.ts";
import { EXIT } from "../../../../shared/exit-codes.ts";

const backup = (name: string, more: object = {}) => ({
  name,
  flaw: null,
  drill: { outcome: "good" },
  manifest: { contentSha256: `of ${name}`, identity: "known" },
  ...more,
});

describe("the backup of another stack on this engine", () => {
  const backups = [
    backup("newest", { drill: null }),
    backup("unreadable", { drill: "unreadable", flaw: "the record of its drill cannot be read" }),
    backup("damaged", { flaw: "7 bytes, its manifest says 8" }),
    backup("proven"),
    backup("older"),
  ];

  it("is the newest that is proven, or the one that was named, with what its own stack recorded", () => {
    expect(chooseListed(backups, undefined, "prod")).toEqual({ name: "proven", contentSha256: "of proven" });
    expect(chooseListed(backups, "newest", "prod")).toEqual({ name: "newest", contentSha256: "of newest" });
  });

  it.each([
    ["damaged", /damaged of stack prod does not count: 7 bytes/],
    ["nosuch", /Stack prod has no backup nosuch/],
    [undefined, /No backup of stack prod is proven/],
  ])("is refused when it is %s, with what to type", (wanted, why) => {
    const from = wanted === undefined ? backups.slice(0, 3) : backups;
    expect(() => chooseListed(from, wanted, "prod")).toThrow(why);
    expect(() => chooseListed(from, wanted, "prod")).toThrow(
      expect.objectContaining({
        code: EXIT.unusableBackup,
        next: expect.stringContaining("npx budgie --stack prod"),
      }),
    );
  });
});

it.each([
  ["a backup", "budgie_20251125_092704.sql", {}],
  ["a mask", undefined, { mask: "mask.sql" }],
  ["a bucket", undefined, { source: "s3://prod-backups" }],
  ["a way around its name", undefined, { allowProduction: true }],
])("a refresh as the settings say does not take %s from the command line", async (_, backup, typed) => {
  await expect(refreshDatabase({} as Stack, backup, typed)).rejects.toThrow(
    expect.objectContaining({ code: EXIT.usage, next: expect.stringContaining("--from STACK") }),
  );
});
