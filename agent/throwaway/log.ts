import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Where a throw-away server writes its log. Each line begins with an SQLSTATE. It goes with its directory. */
export function logOf(directory: string): string {
  return join(directory, "server.log");
}

/**
 * The first error of the classes "insufficient resources", "operator intervention" and "system error"; null without one. A
 * cancelled statement does not count: when one statement has failed, pg_restore cancels those that are still at work.
 */
export async function troubleIn(directory: string): Promise<string | null> {
  const text = await readFile(logOf(directory), "utf8");
  return /^(?:53|57(?!014)|58)\w{3} (?:ERROR|FATAL|PANIC): +(.*)$/m.exec(text)?.[1] ?? null;
}

/** For an error's text: how the log ends, or why it cannot be read. */
export function lastLines(directory: string): string {
  try {
    return readFileSync(logOf(directory), "utf8").trim().split("\n").slice(-3).join(" ");
  } catch (error) {
    return (error as Error).message;
  }
}
