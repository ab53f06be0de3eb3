import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256Of } from "../../../../agent/base/hashing.ts";
import { type Reporter, silentProgress } from "../../../../agent/base/reporter.ts";
import {
  allowanceNow,
  bytesADay,
  type FileAtRest,
  type Look,
  missingSegments,
  nextToLookAt,
  soundPart,
} from "../../../../agent/point-in-time/at-rest.ts";
import { difference, judgeAtRest } from "../../../../agent/point-in-time/judge-at-rest.ts";
import { isBaseDue } from "../../../../agent/point-in-time/keep-chain.ts";
import { lookAtRest } from "../../../../agent/point-in-time/look-at-rest.ts";
import { readLooked, saveLooked } from "../../../../agent/point-in-time/looks.ts";
import { sealedName } from "../../../../agent/point-in-time/wal-segment.ts";
import type { AgentSettings } from "../../../../shared/agent-settings.ts";
import { base, chainOf, DAY, MINUTE, START, segment } from "../../../support/retention/wal-chain.ts";

const GB = 2 ** 30;
const now = new Date(START + 10 * DAY);
const look = (at: number, why: string | null = null): Look => ({
  at: new Date(at).toISOString(),
  bytes: 1,
  why,
  since: why === null ? null : new Date(at).toISOString(),
  mark: null,
});
const file = (name: string): FileAtRest => ({
  name,
  path: name,
  chain: "",
  part: { segment: name },
  bytes: null,
  sha256: "",
});

describe("which file at rest is looked at next", () => {
  it("one that nobody has looked at, then the one whose look is the longest ago", () => {
    const files = ["a", "b", "c"].map(file);
    const looks = { a: look(START + DAY), c: look(START) };
    expect(nextToLookAt(files, looks, now)?.name).toBe("b");
    expect(nextToLookAt(files, { ...looks, b: look(now.getTime()) }, now)?.name).toBe("c");
  });

  it("none while all were looked at within a day", () => {
    expect(nextToLookAt([file("a")], { a: look(now.getTime() - DAY + 1) }, now)).toBeNull();
    expect(nextToLookAt([file("a")], { a: look(now.getTime() - DAY) }, now)?.name).toBe("a");
    expect(nextToLookAt([], {}, now)).toBeNull();
  });

  it("a look from the future was of a wrong clock, and counts for nothing", () => {
    expect(nextToLookAt([file("a")], { a: look(now.getTime() + 400 * DAY) }, now)?.name).toBe("a");
  });

  it("whatever comes and goes: none is looked at twice before all were", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 60 }), (count, steps) => {
        const files = Array.from({ length: count }, (_, at) => file(String(at)));
        const looks: Record<string, Look> = {};
        const times = new Map<string, number>();
        for (let step = 0; step < steps; step++) {
          const at = now.getTime() + step * DAY;
          const next = nextToLookAt(files, looks, new Date(at));
          if (!next) continue;
          looks[next.name] = look(at);
          times.set(next.name, (times.get(next.name) ?? 0) + 1);
          const all = files.map(({ name }) => times.get(name) ?? 0);
          expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

describe("how much is read in a day", () => {
  it("a gigabyte, or a seventh of all", () => {
    expect(bytesADay(0)).toBe(GB);
    expect(bytesADay(70 * GB)).toBe(10 * GB);
  });

  it("grows evenly, is never more than a day's, and a large file is made up for", () => {
    const before = { at: now.toISOString(), left: -DAY / 2 };
    const after = (ms: number) => allowanceNow(before, DAY, new Date(now.getTime() + ms)).left;
    expect(after(DAY / 4)).toBe(-DAY / 4);
    expect(after(3 * DAY)).toBe(DAY);
    // A clock that was set back gives nothing, and takes nothing.
    expect(after(-3 * DAY)).toBe(-DAY / 2);
    expect(allowanceNow(null, DAY, now).left).toBe(DAY);
  });
});

describe("what is damaged", () => {
  const content = chainOf({
    bases: [base(0, START), base(4, START + 4 * MINUTE)],
    sealed: [0, 1, 2, 3, 4, 5, 6],
    partial: 7,
  });
  const [first = "", second = ""] = content.bases.map(
    ({ name }) => `${content.chain.name}/base/${name}.tar.gz`,
  );
  const wal = (number: number) => `${content.chain.name}/wal/${content.sealed[number]?.file}`;
  const judge = (of: typeof content, looks: Record<string, Look>, bucket = false, at = now) =>
    judgeAtRest([of], looks, { folder: "./backups/point-in-time/dev", bucket, now: at });
  const damage = "is damaged: its bytes are not those that were recorded";

  it("leads nowhere", () => {
    const sound = soundPart(content, { [first]: look(START, damage), [wal(5)]: look(START, damage) });
    expect(sound.bases).toEqual(content.bases.slice(1));
    expect(sound.sealed).toHaveLength(6);
    expect(soundPart(content, { [first]: look(START), elsewhere: look(START, damage) })).toBe(content);
  });

  it("a segment is named, with the moments that it costs and what to type", () => {
    const [problem = ""] = judge(content, { [wal(2)]: look(now.getTime(), damage) }).problems;
    expect(problem).toContain(`./backups/point-in-time/dev/${wal(2)} is damaged`);
    expect(problem).toContain(
      "No moment between 2026-11-01 00:01:00.000 UTC and 2026-11-01 00:04:00.000 UTC can be gone back to from here.",
    );
    expect(problem).toContain("npx budgie backup");
    expect(problem).not.toContain("--from s3");
    expect(judge(content, { [wal(2)]: look(now.getTime(), damage) }, true).problems[0]).toContain(
      "npx budgie restore --at MOMENT --from s3",
    );
  });

  it("a base backup costs nothing where an older one leads to the same moments", () => {
    const looks = { [second]: look(now.getTime(), damage) };
    expect(judge(content, looks).problems[0]).toContain("so none is lost");
    // Unless what leads there from the older one is damaged, too: then both cost what they cost together.
    const both = { ...looks, [wal(5)]: look(now.getTime(), damage) };
    expect(judge(content, both).problems.join()).not.toContain("so none is lost");
  });

  it("a missing segment is named, and costs what one that is damaged costs", () => {
    const holed = { ...content, sealed: content.sealed.filter((_, number) => number !== 2) };
    expect(missingSegments(holed)).toEqual([segment(2)]);
    const name = `${content.chain.name}/wal/${segment(2)}`;
    const [problem = ""] = judge(holed, { [name]: look(now.getTime(), "is missing") }).problems;
    expect(problem).toContain(`${segment(2)} is missing. No moment between 2026-11-01 00:01:00.000 UTC`);
  });

  it("nothing is missing that retention may have removed, nor behind the newest", () => {
    expect(missingSegments(content)).toEqual([]);
    const pruned = { ...content, bases: content.bases.slice(1), sealed: content.sealed.slice(4) };
    expect(missingSegments(pruned)).toEqual([]);
    expect(missingSegments({ ...content, bases: [] })).toEqual([]);
    expect(missingSegments({ ...pruned, sealed: pruned.sealed.slice(1) })).toEqual([segment(4)]);
    // Those of a server that was promoted meanwhile, and a file that has another one's name.
    expect(missingSegments({ ...content, partial: `00000002${segment(8).slice(8)}` })).toEqual([]);
    expect(missingSegments({ ...content, partial: "0000000100FFFFFF00000000" })).toHaveLength(1000);
  });

  it("is a problem for a day, and a note for as long as the file is there", () => {
    const looks = { [wal(2)]: look(now.getTime() - DAY, damage) };
    expect(judge(content, looks).problems).toEqual([]);
    expect(judge(content, looks).notes[0]).toContain(wal(2));
    expect(judge(content, { [wal(2)]: look(START) })).toEqual({ problems: [], notes: [] });
  });

  it("a new base backup is due once the newest leads on no more, and not again at once", () => {
    const at = (ms: number) => new Date(START + 4 * MINUTE + ms);
    const due = (looks: Record<string, Look>, ms: number) => isBaseDue(content, looks, at(ms));
    expect(due({}, DAY)).toBe(false);
    expect(due({ [wal(2)]: look(START, damage) }, DAY)).toBe(false);
    expect(due({ [wal(5)]: look(START, damage) }, DAY)).toBe(true);
    expect(due({ [second]: look(START, damage) }, DAY)).toBe(true);
    expect(due({ [second]: look(START, damage) }, 59 * MINUTE)).toBe(false);
    expect(due({}, 7 * DAY)).toBe(true);
    expect(due({}, -8 * DAY)).toBe(true);
  });

  it("what is lost is the rest of a range", () => {
    const range = (from: number, until: number) => ({ from, until });
    expect(difference([range(0, 10)], [range(0, 3), range(5, 10)])).toEqual([range(3, 5)]);
    expect(difference([range(0, 10), range(20, 30)], [range(2, 9)])).toEqual([
      range(0, 2),
      range(9, 10),
      range(20, 30),
    ]);
    expect(difference([range(0, 10)], [range(0, 10)])).toEqual([]);
  });
});

describe("looking at the files at rest", () => {
  const CHAIN = "20261101T000000Z_1";
  let directory: string;
  let said: string[];
  const settings = () =>
    ({ backupDir: directory, backupDirShown: "./backups", stack: "dev" }) as unknown as AgentSettings;
  const report: Reporter = {
    info: () => undefined,
    done: () => undefined,
    warn: text => void said.push(text),
    progress: () => silentProgress,
  };
  const pass = (aDay = GB) => lookAtRest(settings(), report, new AbortController().signal, () => aDay);
  const place = (part: string, name: string) => join(directory, "point-in-time", "dev", CHAIN, part, name);
  const looked = async () => Object.keys((await readLooked(settings())).files).sort();
  const bodies = (number: number) => Buffer.alloc(1000, number);
  const nameOf = (number: number) => sealedName(segment(number), START, sha256Of(bodies(number)));
  /** As if all looks, and the reading, had been so long ago. */
  const age = async (ms: number) => {
    const found = await readLooked(settings());
    const older = (at: string) => new Date(Date.parse(at) - ms).toISOString();
    for (const one of Object.values(found.files)) one.at = older(one.at);
    if (found.allowance) found.allowance = { ...found.allowance, at: older(found.allowance.at) };
    await saveLooked(settings(), found);
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "budgie-at-rest-"));
    said = [];
    for (const part of ["wal", "base", "receiving"])
      await mkdir(join(directory, "point-in-time", "dev", CHAIN, part), { recursive: true });
    for (const number of [0, 1, 2, 3]) await writeFile(place("wal", nameOf(number)), bodies(number));
    const archive = Buffer.alloc(2500, 7);
    const record = base(0, START);
    const [{ name = "" } = {}] = record.files;
    await writeFile(place("base", name), archive);
    const files = [{ name, bytes: archive.length, sha256: sha256Of(archive) }];
    await writeFile(place("base", `${record.name}.json`), JSON.stringify({ ...record, files }));
  });

  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("goes as far as the day's bytes, and on from there the next time, until all were looked at", async () => {
    await pass(3000);
    // The base backup of 2500 bytes, and a segment while there is something left.
    expect(await looked()).toHaveLength(2);
    await pass(3000);
    expect(await looked()).toHaveLength(2);
    await age(DAY / 2);
    await pass(3000);
    expect(await looked()).toHaveLength(3);
    await age(DAY / 2);
    await pass(3000);
    expect((await looked()).length).toBeGreaterThan(3);
    expect(said).toEqual([]);
  });

  it("finds a flipped bit, a cut file, one that is gone, and one that cannot be read; and what was put back", async () => {
    await pass();
    expect(await looked()).toHaveLength(5);
    const bytes = await readFile(place("wal", nameOf(1)));
    await writeFile(place("wal", nameOf(1)), Buffer.concat([bytes.subarray(0, 999), Buffer.from([9])]));
    await truncate(place("base", base(0, START).files[0]?.name ?? ""), 2499);
    await rm(place("wal", nameOf(2)));
    await rm(place("wal", nameOf(0)));
    await mkdir(place("wal", nameOf(0)));
    await pass();
    // Only what is missing shows before its time.
    expect(said).toEqual([`Point in time: ${CHAIN}/wal/${segment(2)} is missing`]);
    await age(DAY);
    await pass();
    expect(said.sort()).toEqual([
      expect.stringMatching(/\.tar\.gz is cut off, or too long: it has 2499 bytes instead of 2500$/),
      expect.stringContaining(`${segment(0)}_`),
      expect.stringContaining("is damaged: its bytes are not those that were recorded"),
      `Point in time: ${CHAIN}/wal/${segment(2)} is missing`,
    ]);
    expect(said.join()).toContain("cannot be read: EISDIR");

    await writeFile(place("wal", nameOf(1)), bytes);
    await writeFile(place("wal", nameOf(2)), bodies(2));
    await pass();
    const { files } = await readLooked(settings());
    expect(Object.values(files).filter(({ why }) => why !== null)).toHaveLength(2);
  });

  it("a record of the looks that cannot be read makes it look at all again", async () => {
    await pass();
    await writeFile(join(directory, "point-in-time", "dev", "looked.json"), "{");
    await pass();
    expect(await looked()).toHaveLength(5);
  });
});
