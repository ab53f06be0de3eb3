import { describe, expect, it } from "vitest";
import type { RemoteEntry } from "../../../../agent/copies/remote-catalogue.ts";
import { findRemote, latestRemote } from "../../../../agent/copies/remote-choice.ts";
import { CHANGED, foreignFlaw } from "../../../../agent/manifest/flaw.ts";
import type { Manifest } from "../../../../agent/manifest/manifest.ts";
import { parseObjectUrl } from "../../../../agent/restore/restore-source.ts";
import { EXIT, type Stop } from "../../../../shared/exit-codes.ts";

const STORE = { shown: "http://store:9000/b", prefix: "dev/", from: "s3" } as const;

/** A whole backup of so many rows, of the database with this system identifier. */
const entry = (name: string, systemIdentifier: string, rows: number, change: Partial<RemoteEntry> = {}) => {
  const manifest = { systemIdentifier, tables: [{ rows }] } as Manifest;
  return { name, key: `dev/${name}`, manifest, flaw: null, ...change } as RemoteEntry;
};
const stopOf = (work: () => unknown): Stop => {
  try {
    work();
  } catch (error) {
    return error as Stop;
  }
  throw new Error("nothing was refused");
};

describe("the latest backup in the bucket", () => {
  it("is the newest that counts", () => {
    const entries = [
      entry("broken", "1", 10, { manifest: null, flaw: "no manifest" }),
      entry("of another stack", "1", 10, { flaw: "of stack prod" }),
      entry("newest", "1", 0),
      entry("older", "1", 1000),
    ];
    expect(latestRemote(entries, STORE).name).toBe("newest");
  });

  it("is not clear when a younger database holds fewer than half the rows of the one before it, however often it was backed up", () => {
    const entries = [entry("empty again", "2", 499), entry("empty", "2", 0), entry("full", "1", 1000)];
    const stop = stopOf(() => latestRemote(entries, STORE));
    expect(stop.code).toBe(EXIT.anotherDatabase);
    expect(stop.message).toContain(
      "empty again holds 499 rows, and full, of another database before it, 1000",
    );
    expect(stop.next).toContain("npx budgie restore full --from s3");
  });

  it("is not clear either when the full one is of before the stack's state, and with it the key, was lost", () => {
    const entries = [
      entry("empty", "2", 0),
      entry("full", "1", 1000, { flaw: foreignFlaw("of another key") }),
    ];
    const stop = stopOf(() => latestRemote(entries, STORE));
    expect(stop.code).toBe(EXIT.anotherDatabase);
    expect(stop.next).toContain("npx budgie restore full --from s3");
  });

  it.each(["of another key", "none"] as const)(
    "is none that this stack did not sign (%s), but that is named",
    signature => {
      const flaw = foreignFlaw(signature);
      const stop = stopOf(() => latestRemote([entry("full", "1", 1000, { flaw })], STORE));
      expect(stop.code).toBe(EXIT.unusableBackup);
      expect(stop.message).toContain(`the newest, full, is not: ${flaw}`);
      expect(stop.next).toContain("npx budgie restore full --from s3");
    },
  );

  it("is none that was changed", () => {
    const entries = [entry("changed", "1", 9, { flaw: CHANGED }), entry("older", "1", 5)];
    expect(latestRemote(entries, STORE).name).toBe("older");
  });

  it("is that of a younger database which holds as much", () => {
    const entries = [entry("moved", "2", 500), entry("before", "1", 1000)];
    expect(latestRemote(entries, STORE).name).toBe("moved");
  });

  it("does not exist where nothing counts", () => {
    const stop = stopOf(() => latestRemote([entry("x", "1", 1, { flaw: "of another database" })], STORE));
    expect(stop.code).toBe(EXIT.unusableBackup);
  });
});

describe("a backup in the bucket", () => {
  const entries = [entry("a.sql", "1", 1), entry("b.sql", "1", 1, { manifest: null, flaw: "no manifest" })];

  it("is found by its name and by its key", () => {
    expect(findRemote(entries, "a.sql", STORE).key).toBe("dev/a.sql");
    expect(findRemote(entries, "dev/a.sql", STORE).name).toBe("a.sql");
  });

  it("cannot be used when it is not whole, and is not made up when it is not there", () => {
    expect(stopOf(() => findRemote(entries, "b.sql", STORE)).message).toContain(
      "cannot be used: no manifest",
    );
    expect(stopOf(() => findRemote(entries, "c.sql", STORE)).message).toContain("There is no backup c.sql");
  });

  it("must be named by its key where two have its name", () => {
    const twins = [entry("a.sql", "1", 1), entry("a.sql", "2", 1, { key: "dev/a-2.sql" })];
    expect(stopOf(() => findRemote(twins, "a.sql", STORE))).toMatchObject({ code: EXIT.usage });
    expect(findRemote(twins, "dev/a-2.sql", STORE).manifest.systemIdentifier).toBe("2");
  });
});

it.each([
  ["s3://bucket/dev/a.sql", { bucket: "bucket", key: "dev/a.sql" }],
  ["s3://bucket/", null],
  ["budgie_20261122_140000.sql", null],
])("%s as an object's URL is %j", (source, object) => {
  expect(parseObjectUrl(source)).toEqual(object);
});
