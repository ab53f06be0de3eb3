import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** What a throw-away server writes, each line beginning with an SQLSTATE. It goes with its directory. */
export function logOf(directory: string): string {
  return join(directory, "server.log");
}

/** The first error of the classes "insufficient resources", "operator intervention" and "system error"; null without one. */
export async function troubleIn(directory: string): Promise<string | null> {
  const text = await readFile(logOf(directory), "utf8");
  return /^(?:53|57|58)\w{3} (?:ERROR|FATAL|PANIC): +(.*)$/m.exec(text)?.[1] ?? null;
}

/** For an error's text: how the log ends, or why it cannot be read. */
export function lastLines(directory: string): string {
  try {
    return readFileSync(logOf(directory), "utf8").trim().split("\n").slice(-3).join(" ");
  } catch (error) {
    return (error as Error).message;
  }
}
