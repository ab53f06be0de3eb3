import { describe, expect, it } from "vitest";
import { judgeLog } from "../../../../scripts/recover/database-health.ts";
import { describePlan } from "../../../../scripts/recover/recovery-plan.ts";
import { brokenVolumeName } from "../../../../shared/names.ts";

const VOLUME = "budgie-postgres-data";

describe("a database that gave up, by its log", () => {
  const judge = (log: string) => judgeLog("broken", log, VOLUME).health;

  it("is broken where its files are damaged, or nobody knows why", () => {
    expect(judge("PANIC:  could not locate a valid checkpoint record")).toBe("broken");
    expect(judge("LOG:  startup process was terminated by signal 6: Aborted")).toBe("broken");
  });

  it("is not known to be broken where the disk is full, a setting is wrong, or another version made it", () => {
    expect(
      judge('FATAL:  configuration file "/var/lib/postgresql/data/postgresql.conf" contains errors'),
    ).toBe("unsure");
    expect(judge('FATAL:  could not write to file "pg_wal/xlogtemp.31": No space left on device')).toBe(
      "unsure",
    );
    expect(
      judge(
        "DETAIL:  The data directory was initialized by PostgreSQL version 15, which is not compatible with this version 16.14.",
      ),
    ).toBe("unsure");
  });

  it("says in plain words what is known, before the log", () => {
    expect(judgeLog("broken", "FATAL:  incorrect checksum in control file", VOLUME).says).toMatch(
      /^PostgreSQL's own files in the volume budgie-postgres-data are damaged/,
    );
  });
});

describe("what a broken volume is replaced by", () => {
  const now = new Date("2026-11-22T14:00:00Z");
  const backup = (outcome?: string) => ({
    name: "budgie_20261122_020000.sql",
    flaw: null,
    drill: outcome === undefined ? null : { outcome },
    manifest: { startedAt: "2026-11-22T02:00:00.000Z", tables: [{ rows: 3 }, { rows: 4 }], globals: null },
  });

  it("is said with its age, its rows, and whether it was proven", () => {
    const text = describePlan(backup("good"), null, "budgie_20261122_020000.sql", now).join("\n");
    expect(text).toContain("budgie_20261122_020000.sql, 12.0 hours old: 2 tables, 7 rows");
    expect(text).toContain("It was proven by a restore.");
    expect(text).toContain("What was written after 2026-11-22T02:00:00.000Z is not in it.");
  });

  it("is said with the newest proven one, where it was not drilled itself", () => {
    const text = describePlan(backup(), null, "budgie_20261121_020000.sql", now).join("\n");
    expect(text).toContain("was not drilled yet");
    expect(text).toContain("the newest that was drilled is budgie_20261121_020000.sql");
  });

  it("is said with the moment to which WAL leads, where point in time runs", () => {
    const text = describePlan(backup("good"), "2026-11-22T13:58:00.000Z", null, now).join("\n");
    expect(text).toContain("the WAL up to 2026-11-22T13:58:00.000Z, 2 minutes ago");
    expect(text).toContain("Should that fail, there is budgie_20261122_020000.sql");
    expect(text).toContain("What was written after 2026-11-22T13:58:00.000Z is not in it.");
  });

  it("is kept under a name with the day and the second, in UTC", () => {
    expect(brokenVolumeName("budgie", new Date("2026-11-22T14:03:09.123Z"))).toBe(
      "budgie-postgres-data-broken-20261122-140309",
    );
  });
});
