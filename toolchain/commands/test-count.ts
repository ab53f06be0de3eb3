import { relative } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";

interface Report {
  testResults: {
    name: string;
    status: string;
    message?: string;
    /** Milliseconds since 1970. */
    startTime?: number;
    endTime?: number;
    assertionResults: { status: string; fullName: string; failureMessages?: string[] }[];
  }[];
}

export interface FileCount {
  /** From the project's folder; empty where vitest itself failed and names no file. */
  file: string;
  passed: number;
  /** How long it took; 0 where nobody says. */
  seconds: number;
  /** A line for each failure: file, test, the first line of why. */
  failures: string[];
}

const WIDEST = 300;
/** With more files than this it is no chance that they failed. */
const MOST_FILES_AGAIN = 3;

/**
 * Counts what vitest's JSON report says. A file that broke before its tests ran is a failure as well, and so is a vitest
 * that ended badly without naming one, or without a report.
 */
export function countTests(report: string | undefined, exitCode: number): FileCount[] {
  if (report === undefined) return [unnamed(`vitest ended with ${exitCode} and wrote no report`)];
  const counts = (JSON.parse(report) as Report).testResults.map(countFile);
  if (exitCode !== 0 && failuresOf(counts).length === 0)
    return [...counts, unnamed(`vitest ended with ${exitCode} and names no test`)];
  return counts;
}

function countFile(result: Report["testResults"][number]): FileCount {
  const { name, status, message, startTime = 0, endTime = 0, assertionResults } = result;
  const file = relative(PROJECT_FOLDER, name);
  const failed = assertionResults.filter(test => test.status === "failed");
  return {
    file,
    seconds: (endTime - startTime) / 1000,
    passed: assertionResults.filter(test => test.status === "passed").length,
    failures:
      failed.length === 0 && status === "failed"
        ? [line(file, "the file itself", message)]
        : failed.map(test => line(file, test.fullName, test.failureMessages?.[0])),
  };
}

export function failuresOf(counts: readonly FileCount[]): string[] {
  return counts.flatMap(count => count.failures);
}

/**
 * The files worth another run by themselves: a few failed while three lanes shared the machine. None where many did, or where vitest
 * did not say which; and no more than end in time, if each takes as long as before.
 */
export function filesToRunAgain(counts: readonly FileCount[], secondsLeft: number): string[] {
  const failed = counts.filter(count => count.failures.length > 0);
  if (failed.length > MOST_FILES_AGAIN || failed.some(({ file }) => file === "")) return [];
  let left = secondsLeft;
  const fitting = failed.filter(({ seconds }) => {
    if (seconds > left) return false;
    left -= seconds;
    return true;
  });
  return fitting.map(({ file }) => file);
}

function unnamed(why: string): FileCount {
  return { file: "", passed: 0, seconds: 0, failures: [why] };
}

function line(file: string, test: string, why = ""): string {
  const [first = ""] = why.split("\n");
  return `${file} > ${cut(test)}: ${cut(first)}`;
}

function cut(text: string): string {
  return text.length > WIDEST ? `${text.slice(0, WIDEST)}…` : text;
}
