import { describe, expect, it } from "vitest";
import type { CatalogueEntry } from "../../../../agent/catalogue/catalogue.ts";
import { OTHER_KEY, type RemoteEntry } from "../../../../agent/copies/remote-catalogue.ts";
import { foreignFlaw } from "../../../../agent/manifest/flaw.ts";
import { statementsOf } from "../../../../agent/restore/mask.ts";
import { requireTarget, withoutTrust } from "../../../../agent/restore/refresh.ts";
import { newestProven, newestWhole } from "../../../../agent/restore/refresh-choice.ts";
import { EXIT, Stop } from "../../../../shared/exit-codes.ts";
import { isProductionName } from "../../../../shared/production-name.ts";

const statements = (text: string) => statementsOf(Buffer.from(text), "mask.sql");

describe("the statements of a mask", () => {
  it("come each with the line in which it begins", () => {
    const text = `-- first\nUPDATE a\n  SET b = ';';\n\n\nDELETE FROM c; DELETE FROM d;\nDO $$ BEGIN\n  PERFORM 1;\nEND $$;\n`;
    expect(statements(text).map(({ line, sql }) => [line, sql.split("\n")[0]])).toEqual([
      [2, "UPDATE a"],
      [6, "DELETE FROM c;"],
      [6, "DELETE FROM d;"],
      [7, "DO $$ BEGIN"],
    ]);
  });

  it.each([
    ["SELECT 1;\n\\! id\n", /command for psql in line 2/],
    ["SELECT 1 \\gexec\n", /command for psql/],
    ["COPY users FROM stdin;\n1\n\\.\n", /rows for a COPY/],
    ["SELECT 1", /semicolon/],
    ["SELECT 'a;\n", /semicolon/],
    ["", /no statement/],
  ])("are refused: %#", (text, why) => {
    expect(() => statements(text)).toThrow(why);
    expect(() => statements(text)).toThrow(expect.objectContaining({ code: EXIT.usage }));
  });
});

describe("the stack that is refreshed", () => {
  it.each(["prod", "production", "eu-prod", "acme.production"])("is not %s, unless that is meant", stack => {
    expect(isProductionName(stack)).toBe(true);
    expect(() => requireTarget({ stack }, "dev", false)).toThrow(
      expect.objectContaining({ code: EXIT.notConfirmed }),
    );
    expect(() => requireTarget({ stack }, "dev", true)).not.toThrow();
  });

  it.each(["staging", "dev", "reproduction"])("may be %s, but not from itself", stack => {
    expect(() => requireTarget({ stack }, "prod", false)).not.toThrow();
    expect(() => requireTarget({ stack }, stack, true)).toThrow(
      expect.objectContaining({ code: EXIT.usage }),
    );
  });
});

describe("what a refresh says to type next", () => {
  it("is never a flag that it does not have", () => {
    const refused = new Stop(EXIT.unusableBackup, "It wants more.", "the same command with --trust-file");
    expect(withoutTrust(refused, "b.sql", "prod")).toMatchObject({
      code: EXIT.unusableBackup,
      message: "It wants more.",
      next: expect.stringContaining("npx budgie restore b.sql --from-stack prod --trust-file"),
    });
    const other = new Stop(EXIT.noSpace, "Full.", "Free some space.");
    expect(withoutTrust(other, "b.sql", "prod")).toBe(other);
  });
});

describe("the newest proven backup of another stack", () => {
  const now = new Date("2026-03-01T00:00:00Z");
  const entry = (day: string, more: Partial<CatalogueEntry> = {}, manifest: object = {}) =>
    ({
      name: day,
      flaw: foreignFlaw("of another key"),
      drill: { outcome: "good" },
      manifest: { stack: "prod", identity: "known", startedAt: `${day}T00:00:00Z`, ...manifest },
      ...more,
    }) as CatalogueEntry;
  const drilled = (outcome: string) => ({ drill: { outcome } }) as Partial<CatalogueEntry>;

  it("is passed over by none that nobody has proven, is damaged, of another database, or from the future", () => {
    const entries = [
      entry("2027-01-01"),
      entry("2026-02-28", { drill: null }),
      entry("2026-02-27", { drill: "unreadable" }),
      entry("2026-02-26", drilled("bad")),
      entry("2026-02-25", { flaw: "7 bytes, its manifest says 8" }),
      entry("2026-02-24", {}, { identity: "unexpected" }),
      entry("2026-02-23", {}, { stack: "other" }),
      entry("2026-02-22", { manifest: null }),
      entry("2026-02-21"),
      entry("2026-02-20", { flaw: null }),
    ];
    expect(newestProven(entries, "prod", now)?.name).toBe("2026-02-21");
    expect(newestProven(entries.slice(0, -2), "prod", now)).toBeNull();
  });

  it("is in a bucket the newest that is whole, and never one older than one that nobody can read", () => {
    const store = { shown: "aws/backups", prefix: "prod/", from: "s3" } as const;
    const there = (day: string, more: object = {}, manifest: object = {}) =>
      ({ ...entry(day, {}, manifest), unopened: false, ...more }) as unknown as RemoteEntry;
    const entries = [
      there("2027-01-01"),
      there("2026-02-28", { manifest: null, flaw: "no manifest: it was not sent to its end" }),
      there("2026-02-27", {}, { stack: "other" }),
      there("2026-02-26"),
      there("2026-02-25"),
    ];
    expect(newestWhole(entries, store, "prod", now).name).toBe("2026-02-26");
    expect(() => newestWhole(entries.slice(0, 3), store, "prod", now)).toThrow(
      /no backup of stack prod in aws\/backups, under prod\/, that can be taken; the newest, .* from the future/,
    );
    expect(() => newestWhole([], store, "prod", now)).toThrow(/that can be taken\.$/);
    const sealed = there("2026-02-28", { manifest: null, flaw: OTHER_KEY });
    expect(() => newestWhole([sealed, there("2026-02-26")], store, "prod", now)).toThrow(/another key/);
    const unopened = there("2026-02-20", { manifest: null, flaw: null, unopened: true });
    expect(() => newestWhole([there("2026-02-26"), unopened], store, "prod", now)).toThrow(/no identity/);
  });
});
