import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PROJECT_FOLDER } from "../../../../shared/project-folder.ts";
import {
  countTests,
  type FileCount,
  failuresOf,
  filesToRunAgain,
} from "../../../../toolchain/commands/test-count.ts";

const passing = { status: "passed", fullName: "is well" };
const failing = {
  status: "failed",
  fullName: "counts",
  failureMessages: ["expected 1\n  at x", "and more"],
};
const file = (name: string, assertionResults: object[], message?: string) => ({
  name: join(PROJECT_FOLDER, name),
  status: message || assertionResults.includes(failing) ? "failed" : "passed",
  message,
  startTime: 1000,
  endTime: 3500,
  assertionResults,
});
const report = (...testResults: object[]) => JSON.stringify({ testResults });

describe("counting tests", () => {
  it("adds up tests, and files that broke before their tests, and names each in a line", () => {
    expect(countTests(report(file("a.test.ts", [passing, passing])), 0)).toEqual([
      { file: "a.test.ts", passed: 2, seconds: 2.5, failures: [] },
    ]);
    const files = [file("a.test.ts", [], "No such\nfile"), file("b.test.ts", [passing, failing])];
    expect(countTests(report(...files), 1)).toEqual([
      { file: "a.test.ts", passed: 0, seconds: 2.5, failures: ["a.test.ts > the file itself: No such"] },
      { file: "b.test.ts", passed: 1, seconds: 2.5, failures: ["b.test.ts > counts: expected 1"] },
    ]);
  });

  it("never calls a broken run good", () => {
    expect(failuresOf(countTests(undefined, 0))).toEqual(["vitest ended with 0 and wrote no report"]);
    expect(failuresOf(countTests(report(file("a.test.ts", [passing])), 1))).toEqual([
      "vitest ended with 1 and names no test",
    ]);
  });
});

describe("running again by itself", () => {
  const count = (file: string, ...failures: string[]): FileCount => ({
    file,
    passed: 1,
    seconds: 100,
    failures,
  });
  const HOUR = 3600;

  it("is for the few files that failed", () => {
    const counts = [count("a"), count("b", "one", "two"), count("c", "one")];
    expect(filesToRunAgain(counts, HOUR)).toEqual(["b", "c"]);
    expect(filesToRunAgain([count("a")], HOUR)).toEqual([]);
  });

  it("is not for a run in which many failed, or of which nobody knows what failed", () => {
    const many = ["a", "b", "c", "d"].map(name => count(name, "one"));
    expect(filesToRunAgain(many, HOUR)).toEqual([]);
    expect(filesToRunAgain([count("a", "one"), count("", "vitest ended with 1")], HOUR)).toEqual([]);
  });

  it("is for no more files than end before the run has to", () => {
    const counts = [count("a", "one"), { ...count("b", "one"), seconds: 500 }, count("c", "one")];
    expect(filesToRunAgain(counts, 250)).toEqual(["a", "c"]);
    expect(filesToRunAgain(counts, -1)).toEqual([]);
  });
});
