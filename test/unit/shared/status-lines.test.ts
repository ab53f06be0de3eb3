import { describe, expect, it } from "vitest";
import { joined, stackMissing } from "../../../scripts/stack/stack-lines.ts";
import { nagiosText } from "../../../scripts/status/nagios.ts";
import { EXIT, Stop } from "../../../shared/exit-codes.ts";
import { statusLine, statusText, verdictOf } from "../../../shared/status-lines.ts";

const good = statusLine("backup", { figure: "budgie_20261122_020000.sql, 5 hours ago" });
const noted = statusLine("copies", { figure: "none", notes: ["Every backup is on this machine only."] });
const unknown = statusLine("slots", { figure: null, unasked: "the database does not answer" });
const bad = statusLine("database", {
  figure: null,
  problems: ["It cannot be reached. `npx budgie start` starts it.", "It is another one."],
  next: "npx budgie logs db",
});

describe("a line of the status", () => {
  it("is as bad as the worst that is said of it", () => {
    expect([good, noted, unknown, bad].map(({ level }) => level)).toEqual(["OK", "WARN", "unknown", "FAIL"]);
  });

  it("names the command that its sentences name, or else the one that helps with such lines", () => {
    expect(bad.next).toBe("npx budgie start");
    expect(statusLine("disk", { figure: "1M", problems: ["Full."], next: "npx budgie prune" }).next).toBe(
      "npx budgie prune",
    );
    expect(good.next).toBeNull();
    const more = "It has no manifest. Load it: npx budgie restore a_1.sql. To be rid of this line, move it.";
    expect(statusLine("catalogue", { figure: "1", problems: [more] }).next).toBe(
      "npx budgie restore a_1.sql",
    );
  });
});

describe("the sentence on top", () => {
  it.each([
    [[good, noted, unknown, bad], "FAIL", /^Something is wrong: It cannot be reached.* \(and 1 more\)$/],
    [[good, noted, unknown], "unknown", "Not everything is known: replication slots"],
    [[good, noted], "WARN", "Everything is as it should be. One note below"],
    [[good], "OK", "Everything is as it should be"],
  ] as const)("says the worst of %#", (lines, level, sentence) => {
    const verdict = verdictOf(lines);
    expect(verdict.level).toBe(level);
    expect(verdict.sentence).toMatch(sentence);
  });
});

it("is printed with the sentence first, and below each line what is wrong and what to type", () => {
  const lines = [bad, statusLine("disk", { figure: "1M", problems: ["Full."], next: "npx budgie prune" })];
  expect(statusText(verdictOf(lines), lines)).toBe(
    [
      "[!] Something is wrong: It cannot be reached. `npx budgie start` starts it. (and 2 more)",
      "FAIL    Database: not known",
      "        ! It cannot be reached. `npx budgie start` starts it.",
      "        ! It is another one.",
      "FAIL    Disk: 1M",
      "        ! Full.",
      "        Type: npx budgie prune",
      "",
    ].join("\n"),
  );
});

describe("what engine and agent tell of one thing", () => {
  it("is one line, and unknown when one of them does not know", () => {
    const [line] = joined([{ id: "slots", figure: "Up 3 hours" }], [unknown]);
    expect(line?.level).toBe("unknown");
    const container = {
      id: "database" as const,
      figure: "budgie-db Exited (0)",
      problems: ["It does not run."],
    };
    expect(joined([container], [bad])[0]).toMatchObject({
      level: "FAIL",
      problems: ["It does not run.", ...bad.problems],
    });
  });
});

it("a missing engine is told in a line, and an unclear stack is refused", () => {
  const gone = new Stop(EXIT.engineOrContainerMissing, "No container engine answers.", "Start it.");
  expect(stackMissing(gone)).toMatchObject([
    { level: "FAIL", problems: ["No container engine answers. Start it."] },
  ]);
  const several = new Stop(EXIT.usage, "There are several stacks here.");
  expect(() => stackMissing(several)).toThrow(several);
});

describe("for monitoring", () => {
  const seen = (lines: (typeof good)[], json: object = {}) => {
    const verdict = verdictOf(lines);
    return nagiosText({ lines, verdict, json: { ...json, verdict, fine: false, problems: [] }, code: 0 });
  };

  it.each([
    [[good], 0, "BUDGIE OK - "],
    [[noted], 1, "BUDGIE WARNING - "],
    [[bad, unknown], 2, "BUDGIE CRITICAL - "],
    [[unknown], 3, "BUDGIE UNKNOWN - "],
  ])("each level has its code and word (%#)", (lines, code, begins) => {
    const said = seen(lines);
    expect(said.code).toBe(code);
    expect(said.text.startsWith(begins)).toBe(true);
  });

  it("figures that are not known are left out, and no sentence can be taken for figures", () => {
    expect(seen([good], { database: null, backups: { newest: null, freeBytes: 7 } }).text).toBe(
      "BUDGIE OK - Everything is as it should be | disk_free=7B\n",
    );
    const piped = statusLine("other", { figure: "", problems: ["a | b\n    c"] });
    expect(seen([piped]).text.split("\n")).toEqual([
      "BUDGIE CRITICAL - Something is wrong: a / b",
      "FAIL Also: a / b c",
      "",
    ]);
  });

  it("what throws is unknown", () => {
    expect(nagiosText(new Error("no\nidea"))).toEqual({ text: "BUDGIE UNKNOWN - no idea\n", code: 3 });
  });
});
