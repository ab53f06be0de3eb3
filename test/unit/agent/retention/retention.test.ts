import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRecord, recordText } from "../../../../agent/base/json-record.ts";
import type { KeptBackup, Proof } from "../../../../agent/catalogue/judged-backup.ts";
import { pinFrom, pinName, pinRecord } from "../../../../agent/catalogue/pin.ts";
import { timeInName, weekOf } from "../../../../agent/manifest/backup-time.ts";
import { decideRetention, type Verdict } from "../../../../agent/retention/retention.ts";
import type { RetentionPolicy } from "../../../../shared/retention-policy.ts";
import { keptByTheRules } from "../../../support/retention/rules.ts";
import { takenAt } from "../../../support/retention/taken-at.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const policy: RetentionPolicy = { days: 7, atLeast: 3, weeks: 4, months: 12 };
const slim: RetentionPolicy = { days: 1, atLeast: 1, weeks: 0, months: 0 };
const at = (text: string) => new Date(text);
const drill = (outcome: Proof["outcome"]): Proof => ({ at: "2026-11-21T12:00:00.000Z", outcome });

/** One backup each night at two, for `count` nights up to Sunday, 22 November 2026; newest first. */
function nights(count: number): KeptBackup[] {
  const last = at("2026-11-22T02:00Z").getTime();
  return Array.from({ length: count }, (_, ago) => takenAt(new Date(last - ago * DAY)));
}

function judged(backups: KeptBackup[], rules = policy, now = "2026-11-22T02:05Z"): Map<string, Verdict> {
  return new Map(decideRetention(backups, rules, at(now)).map(verdict => [verdict.name, verdict]));
}

function kept(backups: KeptBackup[], rules = policy, now = "2026-11-22T02:05Z"): string[] {
  return [...judged(backups, rules, now).values()]
    .filter(({ keep }) => keep)
    .map(({ name }) => name)
    .sort();
}

describe("of backups that were taken every night for 100 nights", () => {
  it("the last seven, one of each of four weeks and one of each month stay", () => {
    expect(kept(nights(100)).map(name => name.slice(7, 15))).toEqual([
      ...["20260815", "20260901", "20261001", "20261026"],
      ...["20261101", "20261102", "20261109"],
      ...["20261116", "20261117", "20261118", "20261119", "20261120", "20261121", "20261122"],
    ]);
  });

  it("each says why it stays or goes", () => {
    const verdicts = judged(nights(100));
    const reason = (day: string) => verdicts.get(`budgie_${day}_020000.sql`)?.reason;
    expect(reason("20261122")).toBe("the newest good one; of the newest 7 days; among the newest 3");
    expect(reason("20261116")).toBe("of the newest 7 days; stands for the week of 2026-11-16");
    expect(reason("20261101")).toBe("stands for the month 2026-11");
    expect(reason("20261110")).toBe(
      "not of the newest 7 days; budgie_20261109_020000.sql stands for its week; budgie_20261101_020000.sql stands for its month",
    );
    expect(reason("20261015")).toBe(
      "not of the newest 7 days; its week is not of the newest 4 weeks; budgie_20261001_020000.sql stands for its month",
    );
  });
});

describe("never removed", () => {
  const old = (differs: Partial<KeptBackup>, reason?: Parameters<typeof takenAt>[2]) =>
    takenAt(at("2024-05-08T02:00Z"), differs, reason);
  const stays = (backup: KeptBackup, rules = slim) =>
    judged([...nights(60), backup], rules).get(backup.name) as Verdict;

  it("is not true of one that has nothing to say for it", () => {
    expect(stays(old({}))).toMatchObject({ keep: false, reason: "not of the newest day" });
  });

  it.each<[string, KeptBackup, string]>([
    ["the newest proven one", old({ proven: drill("good") }), "the newest proven one"],
    ["a pinned one", old({ pin: { until: null, pinnedAt: "2024-05-09T00:00:00.000Z" } }), "pinned"],
    [
      "one without a copy",
      old({ lacksCopyIn: ["aws/b", "ssh://u@h:22/p"] }),
      "not in aws/b yet; not in ssh://u@h:22/p",
    ],
    ["one without a manifest", old({ manifest: null, flaw: "no manifest" }), "no manifest: does not count"],
    ["another stack's", old({ flaw: "of stack prod" }), "of stack prod: does not count"],
    ["another database's", old({ flaw: "of another database" }), "of another database: does not count"],
    [
      "a damaged one",
      old({ flaw: "9 bytes, its manifest says 10" }),
      "9 bytes, its manifest says 10: does not",
    ],
    [
      "one whose name is no time",
      { ...old({}), name: "budgie_20240230_020000.sql" },
      "its name holds no time",
    ],
    [
      "one that was renamed",
      { ...old({}), name: "budgie_20240509_020000.sql" },
      "changed by hand since it was written",
    ],
  ])("is %s", (_what, backup, says) => {
    const verdict = stays(backup);
    expect(verdict.keep).toBe(true);
    expect(verdict.reason).toContain(says);
  });

  it.each(["2025-05-08", "2023-05-08"])("is one whose manifest names another day than its name: %s", day => {
    const backup = takenAt(at("2024-05-08T02:00Z"));
    const { manifest } = takenAt(at(`${day}T02:00Z`));
    const moved = { ...backup, manifest: manifest && { ...manifest, file: backup.name } };
    expect(stays(moved).reason).toContain(`its manifest says that it was taken at ${day}`);
  });

  it("is one that shares its manifest with a file that was compressed by hand", () => {
    const backup = old({});
    const compressed = { ...backup, name: `${backup.name}.gz` };
    const verdicts = judged([...nights(60), backup, compressed], slim);
    expect(verdicts.get(backup.name)?.reason).toBe(`${compressed.name} needs its manifest`);
    expect(verdicts.get(compressed.name)?.keep).toBe(true);
  });

  describe("for 90 days, is the newest one that holds what the newest one has lost:", () => {
    const holding = (backups: KeptBackup[], tables: { name: string; rows: number }[]) =>
      backups.map(backup => ({
        ...backup,
        manifest: backup.manifest && ({ ...backup.manifest, tables } as NonNullable<KeptBackup["manifest"]>),
      }));
    const before = [
      { name: "public.ledger", rows: 40 },
      { name: "public.users", rows: 3 },
    ];
    const full = (count: number, lost: number) => holding(nights(count).slice(lost), before);
    const heldOf = (lost: number, now: { name: string; rows: number }[]) => {
      const backups = [...holding(nights(120).slice(0, lost), now), ...full(120, lost)];
      return [...judged(backups, slim).values()].filter(({ reason }) => reason.includes("has lost"));
    };

    it.each([
      ["a table", [{ name: "public.users", rows: 3 }]],
      [
        "a table's rows",
        [
          { name: "public.ledger", rows: 0 },
          { name: "public.users", rows: 3 },
        ],
      ],
      [
        "most of all rows",
        [
          { name: "public.ledger", rows: 4 },
          { name: "public.users", rows: 3 },
        ],
      ],
    ])("%s", (_, now) => {
      expect(heldOf(30, now)).toEqual([
        {
          name: full(120, 30)[0]?.name,
          keep: true,
          reason: "holds what the newest one has lost, kept for 90 days",
        },
      ]);
      expect(heldOf(100, now)).toEqual([]);
    });

    it("and none where a few rows have gone, or nothing", () => {
      expect(heldOf(30, [{ name: "public.ledger", rows: 30 }])).toEqual([]);
      expect(heldOf(30, before)).toEqual([]);
    });
  });

  it("is anything, where nothing good is left", () => {
    const bad = nights(60).map(backup => ({ ...backup, proven: drill("bad") }));
    expect(kept(bad, slim)).toHaveLength(60);
  });
});

describe("what does not count", () => {
  it.each<[string, Partial<KeptBackup>]>([
    ["found bad", { proven: drill("bad") }],
    ["of another database", { flaw: "of another database" }],
    ["without a manifest", { manifest: null, flaw: "no manifest" }],
  ])("keeps nothing from being kept in its place: %s", (_what, differs) => {
    const backups = nights(30);
    const monday = backups.findIndex(({ name }) => name.startsWith("budgie_20261109"));
    backups[monday] = { ...(backups[monday] as KeptBackup), ...differs };
    expect(judged(backups).get("budgie_20261110_020000.sql")?.reason).toBe(
      "stands for the week of 2026-11-09",
    );
  });
});

describe("a backup that a drill found bad", () => {
  const [newest, ...rest] = nights(30) as [KeptBackup, ...KeptBackup[]];
  const bad = rest[20] as KeptBackup;
  const others = [newest, ...rest.filter(backup => backup !== bad)];

  it("goes when a newer one is proven and its day is past", () => {
    const [, ...older] = others;
    const verdict = judged([
      { ...newest, proven: drill("good") },
      ...older,
      { ...bad, proven: drill("bad") },
    ]).get(bad.name);
    expect(verdict).toEqual({
      name: bad.name,
      keep: false,
      reason: `found bad by the drill of 2026-11-21; ${newest.name} is newer, and proven`,
    });
  });

  it.each<[string, number | null]>([
    ["none is", null],
    ["only an older one is", 25],
  ])("stays while no newer one is proven (%s): it may be the drills that are bad", (_what, provenAgo) => {
    const proven = others.map((backup, ago) =>
      ago === provenAgo ? { ...backup, proven: drill("good") } : backup,
    );
    expect(judged([...proven, { ...bad, proven: drill("bad") }], slim).get(bad.name)).toMatchObject({
      keep: true,
      reason: "found bad by a drill, but no newer one is proven",
    });
  });
});

describe("a backup that cannot be reloaded", () => {
  const all = nights(30);
  const unloadable = all.map((backup, ago) =>
    ago < 10 ? { ...backup, proven: drill("unloadable") } : backup,
  );
  const days = (names: string[]) => names.map(name => name.slice(7, 15));

  it("stays as long as it would if nobody had tried it", () => {
    const stays = kept(unloadable);
    for (const name of kept(all)) expect(stays).toContain(name);
    expect(judged(unloadable).get(all[0]?.name as string)?.reason).toBe(
      "the newest one; of the newest 7 days; among the newest 3",
    );
  });

  it("takes no place of those that can be, however many come", () => {
    expect(days(kept(unloadable, slim))).toEqual(["20261112", "20261122"]);
    expect(judged(unloadable, slim).get("budgie_20261112_020000.sql")?.reason).toBe(
      "the newest good one, of those that can be reloaded; of the newest day, of those that can be reloaded; among the newest 1, of those that can be reloaded",
    );
  });

  it("says, when it goes, that others fill its places, and does not say that it is bad", () => {
    expect(judged(unloadable, slim).get("budgie_20261121_020000.sql")).toMatchObject({
      keep: false,
      reason: "not of the newest day",
    });
  });
});

describe("what stands for a week", () => {
  const week = nights(30).filter(({ name }) => name >= "budgie_20261109" && name < "budgie_20261116");
  const lastWeek = nights(6);
  const standing = (backups: KeptBackup[]) =>
    kept([...lastWeek, ...backups], { ...slim, weeks: 4 }).filter(name => name < "budgie_20261116");

  it("is its first one, whatever comes later", () => {
    for (let count = 1; count <= 7; count++)
      expect(standing(week.slice(-count))).toEqual(["budgie_20261109_020000.sql"]);
  });

  it("is the first that is proven, once one is", () => {
    const proven = week.map((backup, ago) =>
      ago === 2 || ago === 4 ? { ...backup, proven: drill("good") } : backup,
    );
    const [newest, ...others] = lastWeek as [KeptBackup, ...KeptBackup[]];
    const stays = kept([{ ...newest, proven: drill("good") }, ...others, ...proven], { ...slim, weeks: 4 });
    expect(stays.filter(name => name < "budgie_20261116")).toEqual(["budgie_20261111_020000.sql"]);
  });

  it("begins on Monday, in UTC", () => {
    expect(weekOf(at("2026-11-15T23:59Z").getTime())).toBe("2026-11-09");
    expect(weekOf(at("2026-11-16T00:00Z").getTime())).toBe("2026-11-16");
    expect(weekOf(at("2027-01-01T00:00Z").getTime())).toBe("2026-12-28");
  });
});

describe("a backup that was taken before a change", () => {
  const before = (daysAgo: number) =>
    takenAt(new Date(at("2026-11-22T14:00Z").getTime() - daysAgo * DAY), {}, "before-change");

  it("stays for 30 days, and until backups of two later days exist", () => {
    expect(judged([...nights(60), before(20)], slim).get(before(20).name)).toMatchObject({
      keep: true,
      reason: "taken before a change, kept for 30 days",
    });
    expect(judged([...nights(60), before(31)], slim).get(before(31).name)?.keep).toBe(true);
    expect(judged([...nights(60), before(33)], slim).get(before(33).name)?.keep).toBe(false);
  });
});

describe("a pin", () => {
  it("ends with its time, when two later days have a backup", () => {
    const pinned = (until: string) =>
      takenAt(at("2024-05-08T02:00Z"), { pin: { until, pinnedAt: "2024-05-09T00:00:00.000Z" } });
    const keeps = (until: string) =>
      judged([...nights(60), pinned(until)], slim).get(pinned(until).name)?.keep;
    expect(keeps("2027-01-01T00:00:00.000Z")).toBe(true);
    expect(keeps("2026-11-21T12:00:00.000Z")).toBe(true);
    expect(keeps("2026-11-20T12:00:00.000Z")).toBe(false);
  });

  it("is a file beside the backup, and holds for good when nobody can read it", () => {
    expect(pinName("budgie_20251125_092704.sql.gz")).toBe("budgie_20251125_092704.pin");
    expect(pinName("notes.txt")).toBeNull();
    const pin = { until: "2027-01-01T00:00:00.000Z", pinnedAt: "2026-11-22T00:00:00.000Z" };
    const read = (text: string) => pinFrom(parseRecord(pinRecord, text));
    expect(read(recordText(pin))).toEqual(pin);
    for (const text of ["", "{", "null", '{"until":"soon"}']) expect(read(text)?.until).toBeNull();
  });
});

describe("a clock that is wrong", () => {
  it("removes nothing while it is behind a backup by more than an hour", () => {
    const ahead = takenAt(at("2026-11-22T03:06Z"));
    expect(kept([ahead, ...nights(60)])).toHaveLength(61);
    expect(judged([ahead, ...nights(60)]).get("budgie_20261001_020000.sql")?.reason).toBe(
      "nothing is removed while budgie_20261122_030600.sql is from the future: the clock is, or was, wrong",
    );
    expect(kept([takenAt(at("2026-11-22T03:04Z")), ...nights(60)]).length).toBeLessThan(61);
  });

  it("removes nothing when it is no time at all", () => {
    expect(decideRetention(nights(60), slim, new Date(Number.NaN)).every(({ keep }) => keep)).toBe(true);
  });

  it("that runs ahead takes away one day, one week and one month at most, and no pin", () => {
    const pin = { until: "2030-01-01T00:00:00.000Z", pinnedAt: "2024-05-09T00:00:00.000Z" };
    const backups = [...nights(60), takenAt(at("2024-05-08T02:00Z"), { pin })];
    const rules = { ...policy, months: 2 };
    const wrong = takenAt(at("2040-01-01T02:00Z"));
    const left = kept([wrong, ...backups], rules, "2040-01-01T02:05Z");
    expect(kept(backups, rules).filter(name => !left.includes(name))).toEqual([
      "budgie_20261001_020000.sql",
      "budgie_20261026_020000.sql",
    ]);
    expect(kept([wrong, ...backups], rules)).toHaveLength(62);
  });
});

/** Backups of some months, with gaps, several a day, a clock that is set back, and every flaw that a backup can have. */
const histories: fc.Arbitrary<KeptBackup[]> = fc
  .array(
    fc.record({
      hours: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 1, max: 30 }) },
        { weight: 1, arbitrary: fc.integer({ min: -40, max: 900 }) },
      ),
      minutes: fc.nat(59),
      drilled: fc.constantFrom(null, null, null, null, "good", "bad", "unknown", "unloadable"),
      pinned: fc.option(fc.option(fc.integer({ min: -10, max: 90 })), { freq: 12, nil: undefined }),
      lacks: fc.constantFrom(0, 0, 0, 0, 0, 1, 2),
      flaw: fc.constantFrom(
        null,
        null,
        null,
        null,
        null,
        null,
        "no manifest",
        "of stack prod",
        "of another database",
      ),
      reason: fc.constantFrom("scheduled", "scheduled", "manual", "before-change", "before-restore"),
      compressed: fc.constantFrom("no", "no", "no", "no", "no", "no", "no", "instead", "beside"),
    }),
    { maxLength: 60 },
  )
  .map(steps => {
    let time = at("2026-08-03T02:00Z").getTime();
    const backups = new Map<string, KeptBackup>();
    for (const { hours, minutes, drilled, pinned, lacks, flaw, reason, compressed } of steps) {
      time += hours * HOUR + minutes * 60_000;
      const backup = takenAt(
        new Date(time),
        { flaw, lacksCopyIn: ["aws/b", "ssh://h"].slice(0, lacks) },
        reason,
      );
      if (flaw === "no manifest") backup.manifest = null;
      if (drilled) backup.proven = { at: new Date(time + HOUR).toISOString(), outcome: drilled };
      if (pinned !== undefined) {
        const until = pinned === null ? null : new Date(time + pinned * DAY).toISOString();
        backup.pin = { until, pinnedAt: new Date(time).toISOString() };
      }
      const byHand = { ...backup, name: `${backup.name}.gz` };
      if (compressed !== "instead") backups.set(backup.name, backup);
      if (compressed !== "no") backups.set(byHand.name, byHand);
    }
    return [...backups.values()];
  });

const policies: fc.Arbitrary<RetentionPolicy> = fc.record({
  days: fc.integer({ min: 1, max: 8 }),
  atLeast: fc.integer({ min: 1, max: 5 }),
  weeks: fc.integer({ min: 0, max: 5 }),
  months: fc.integer({ min: 0, max: 4 }),
});

const newestTime = (backups: KeptBackup[]) => Math.max(at("2026-08-01").getTime(), ...backups.map(takenTime));
const takenTime = ({ name }: KeptBackup) => timeInName(name) as number;
const left = (backups: KeptBackup[], rules: RetentionPolicy, now: Date) => {
  const verdicts = new Map(decideRetention(backups, rules, now).map(verdict => [verdict.name, verdict.keep]));
  return backups.filter(({ name }) => verdicts.get(name));
};
const namesOf = (backups: KeptBackup[]) => backups.map(({ name }) => name).sort();
const later = (backups: KeptBackup[]) => new Date(newestTime(backups) + 60_000);

describe("whatever happened to the backups", () => {
  it("exactly what the written rules say stays, whatever the clock says", () => {
    fc.assert(
      fc.property(histories, policies, fc.integer({ min: -50, max: 2000 }), (backups, rules, hours) => {
        const now = new Date(newestTime(backups) + hours * HOUR);
        expect(namesOf(left(backups, rules, now))).toEqual(keptByTheRules(backups, rules, now));
      }),
      { numRuns: 300 },
    );
  });

  it("a second run removes nothing more, nor does any later one while no backup is added", () => {
    fc.assert(
      fc.property(histories, policies, fc.nat(10_000), (backups, rules, hours) => {
        const once = left(backups, rules, later(backups));
        expect(namesOf(left(once, rules, later(backups)))).toEqual(namesOf(once));
        const muchLater = new Date(newestTime(backups) + hours * HOUR);
        expect(namesOf(left(backups, rules, muchLater))).toEqual(namesOf(once));
      }),
    );
  });

  it("the newest good one, the newest proven one, pinned ones and those without their copies stay", () => {
    fc.assert(
      fc.property(histories, policies, (backups, rules) => {
        const stays = left(backups, rules, later(backups));
        const counting = backups
          .filter(({ manifest, flaw, proven, name }) => {
            return manifest?.file === name && flaw === null && proven?.outcome !== "bad";
          })
          .sort((a, b) => takenTime(b) - takenTime(a));
        const needed = [
          ...counting.slice(0, 1),
          ...counting.filter(({ proven }) => proven?.outcome === "good").slice(0, 1),
          ...backups.filter(({ pin }) => pin && pin.until === null),
          ...backups.filter(({ lacksCopyIn }) => lacksCopyIn.length > 0),
          ...backups.filter(({ manifest, flaw, name }) => manifest?.file !== name || flaw !== null),
        ];
        for (const backup of needed) expect(stays).toContain(backup);
      }),
    );
  });

  it("nothing goes while the clock is more than an hour behind the newest", () => {
    fc.assert(
      fc.property(
        histories,
        policies,
        fc.integer({ min: 3_600_001, max: 400 * DAY }),
        (backups, rules, behind) => {
          fc.pre(backups.length > 0);
          expect(left(backups, rules, new Date(newestTime(backups) - behind))).toEqual(backups);
        },
      ),
    );
  });

  it.each(["bad", "unloadable"] as const)("a drill that finds one %s makes no other one go", outcome => {
    fc.assert(
      fc.property(histories, policies, fc.nat(), (backups, rules, which) => {
        fc.pre(backups.length > 0);
        const found = backups[which % backups.length] as KeptBackup;
        const after = backups.map(backup =>
          backup === found ? { ...backup, proven: drill(outcome) } : backup,
        );
        const stays = namesOf(left(after, rules, later(backups)));
        for (const { name } of left(backups, rules, later(backups)))
          if (name !== found.name) expect(stays).toContain(name);
      }),
    );
  });

  it("what stands for a week or a month stays when newer ones come, as long as that week or month counts", () => {
    fc.assert(
      fc.property(histories, policies, fc.integer({ min: 1, max: 900 }), (backups, rules, hours) => {
        const newer = takenAt(new Date(newestTime(backups) + hours * HOUR));
        const before = decideRetention(backups, rules, later([newer]));
        const after = decideRetention([...backups, newer], rules, later([newer]));
        const weeks = new Set(after.flatMap(({ reason }) => reason.match(/the week of \S{10}/g) ?? []));
        const months = new Set(after.flatMap(({ reason }) => reason.match(/the month \S{7}/g) ?? []));
        const stays = new Set(after.filter(({ keep }) => keep).map(({ name }) => name));
        for (const { name, reason } of before) {
          const stoodFor = reason.match(/stands for (the week of \S{10}|the month \S{7})/g) ?? [];
          const counted = stoodFor.filter(what => [...weeks, ...months].some(one => what.endsWith(one)));
          if (counted.length > 0) expect(stays, reason).toContain(name);
        }
      }),
    );
  });

  it("pruning after every backup leaves what pruning once at the end would", () => {
    const settled = histories.map(backups =>
      backups
        .filter(({ name, manifest }) => manifest?.file === name)
        .map(backup => ({ ...backup, lacksCopyIn: [] }))
        .sort((a, b) => takenTime(a) - takenTime(b)),
    );
    fc.assert(
      fc.property(settled, policies, (backups, rules) => {
        let shelf: KeptBackup[] = [];
        for (const backup of backups) shelf = left([...shelf, backup], rules, later([backup]));
        expect(namesOf(shelf)).toEqual(namesOf(left(backups, rules, later(backups))));
      }),
    );
  });
});
