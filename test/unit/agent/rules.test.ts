import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { globalsName } from "../../../agent/backup/globals.ts";
import { humanSize } from "../../../agent/base/reporter.ts";
import { judgeIdentity } from "../../../agent/catalogue/identity.ts";
import {
  backupName,
  formatOf,
  isBackupName,
  manifestName,
  namesOfSecond,
} from "../../../agent/manifest/backup-name.ts";
import { judgeLastRun } from "../../../agent/status/judge-runs.ts";
import { judgeBackups, judgeNext, staleBefore } from "../../../agent/status/schedule-status.ts";
import { readSettings } from "../../../shared/agent-environment.ts";
import { BACKUP_FORMATS } from "../../../shared/backup-format.ts";
import { Stop } from "../../../shared/exit-codes.ts";

describe("backup names", () => {
  it("are those Budgie's operators know, in UTC", () => {
    expect(backupName(new Date("2025-11-25T09:27:04Z"), "sql")).toBe("budgie_20251125_092704.sql");
  });

  it("sort by age and lead to their manifests, compressed or not", () => {
    const date = fc.date({ min: new Date("2000-01-01"), max: new Date("2099-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(date, date, (a, b) => {
        const [first, second] = [backupName(a, "sql"), backupName(b, "sql")];
        if (Math.floor(a.getTime() / 1000) < Math.floor(b.getTime() / 1000))
          expect(first < second).toBe(true);
        expect(isBackupName(first)).toBe(true);
        expect(manifestName(`${first}.gz`)).toBe(manifestName(first));
      }),
    );
  });

  it.each(BACKUP_FORMATS)(
    "of format %s are known, and belong to one manifest and one file of roles",
    format => {
      const at = new Date("2025-11-25T09:27:04Z");
      const name = backupName(at, format);
      expect({ format: formatOf(name), manifest: manifestName(name), globals: globalsName(name) }).toEqual({
        format,
        manifest: "budgie_20251125_092704.json",
        globals: "budgie_20251125_092704.globals.sql",
      });
      expect(namesOfSecond(at)).toEqual(
        expect.arrayContaining([name, manifestName(name), globalsName(name)]),
      );
    },
  );

  it.each([
    "budgie_20251125_092704.globals.sql",
    "budgie_20251125_092704.sql.age",
    "budgie_20251125_092704.tar",
    "budgie_2025.sql",
    "budgie_20251125_092704.sql.partial",
    "../budgie_20251125_092704.sql",
    "notes.sql",
  ])("are not like %s", name => {
    expect(isBackupName(name)).toBe(false);
  });
});

describe("which database it is", () => {
  const known = { systemIdentifier: "1", since: "2026-01-01T00:00:00.000Z", acceptedEmpty: false };
  const newest = { name: "b.sql", tables: 2 };

  it("is right when it is the one its backups came from, or the first", () => {
    expect(judgeIdentity(known, newest, { systemIdentifier: "1", tables: 2 })).toBeNull();
    expect(judgeIdentity(null, null, { systemIdentifier: "9", tables: 0 })).toBeNull();
  });

  it("is wrong when it is another, or is empty although backups are not", () => {
    expect(judgeIdentity(known, newest, { systemIdentifier: "2", tables: 2 })).toMatch(
      /is another one \(2\)/,
    );
    expect(judgeIdentity(known, newest, { systemIdentifier: "1", tables: 0 })).toMatch(/is empty, although/);
    expect(
      judgeIdentity({ ...known, acceptedEmpty: true }, newest, { systemIdentifier: "1", tables: 0 }),
    ).toBeNull();
  });
});

describe("the status", () => {
  const now = new Date("2026-11-22T12:00:00Z");

  it.each([
    [null, /There is no backup/],
    ["2026-11-21T09:00:00Z", /27 hours old/],
    ["2026-11-22T13:00:00Z", /from the future/],
  ])("is red for a newest backup of %s", (at, says) => {
    expect(judgeBackups(at, now, staleBefore({ schedule: null }, now)).join()).toMatch(says);
  });

  it("is not red for last night's backup", () => {
    expect(judgeBackups("2026-11-22T02:00:00Z", now, staleBefore({ schedule: null }, now))).toEqual([]);
  });

  it.each([
    ["0 2 * * *", "2026-11-22T03:59:00Z", "2026-11-21T02:00:00.000Z"],
    ["0 2 * * *", "2026-11-22T04:00:00Z", "2026-11-22T02:00:00.000Z"],
    ["0 2 * * 0", "2026-11-21T12:00:00Z", "2026-11-15T02:00:00.000Z"],
  ])("with the schedule %s asks at %s for a backup since %s", (expression, at, since) => {
    const schedule = { expression, timeZone: "UTC", jitterSeconds: 0 };
    expect(staleBefore({ schedule }, new Date(at)).toISOString()).toBe(since);
  });

  it("is red for a due backup that nobody took for more than an hour, and not before", () => {
    const due = new Date("2026-11-22T10:30:00Z");
    const run = { due, at: due, why: "due" as const };
    expect(judgeNext(run, now).join()).toMatch(/due on 2026-11-22 10:30 UTC has not been taken/);
    expect(judgeNext(run, new Date("2026-11-22T11:30:00Z"))).toEqual([]);
  });

  it("is red for a run that was killed", () => {
    const run = {
      operation: "backup",
      startedAt: "2026-11-22T02:00:00Z",
      finishedAt: null,
      outcome: "running" as const,
      message: null,
    };
    expect(judgeLastRun(run, false).join()).toContain("has not ended");
  });
});

describe("the agent's environment", () => {
  it("is refused with everything that is wrong in one message", () => {
    expect(() => readSettings({ PGHOST: "db", PGPORT: "many", BUDGIE_BACKUP_DIR: "here" })).toThrow(Stop);
    expect(() => readSettings({ PGHOST: "db", PGPORT: "many", BUDGIE_BACKUP_DIR: "here" })).toThrow(
      /PGPORT: .*; PGUSER: .*; PGDATABASE: .*; BUDGIE_STACK: .*; BUDGIE_BACKUP_DIR: /,
    );
  });
});

it.each([
  [0, "0B"],
  [12 * 1024, "12K"],
  [3.4 * 1024 * 1024, "3.4M"],
  [5 * 1024 ** 3, "5G"],
])("%i bytes are shown as %s", (bytes, shown) => {
  expect(humanSize(bytes)).toBe(shown);
});
