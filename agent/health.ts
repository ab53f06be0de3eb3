import { rename, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "./settings.ts";
import { readStatus } from "./status.ts";

/** Where the container's healthcheck (budgie-healthy) finds it; gone with the container. */
const FILE = "/run/budgie-health";
const EVERY_MS = 60_000;
/** What is wrong is looked at more often: it may be over, as when the first backup has been taken. */
const TROUBLE_EVERY_MS = 10_000;
/** An agent that hangs must not stay healthy. */
const GOOD_FOR_SECONDS = 240;

/**
 * Keeps writing down what `npx budgie status` would say, until `signal` aborts: the container is healthy while backups are
 * what they should be, and not merely while a process lives. The healthcheck then only reads a file. Never throws: what
 * cannot be written down grows stale.
 */
export async function keepJudgingHealth(settings: AgentSettings, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const problems = await judge(settings);
    await writeHealth(problems).catch(() => undefined);
    await delay(problems.length === 0 ? EVERY_MS : TROUBLE_EVERY_MS, undefined, { signal }).catch(
      () => undefined,
    );
  }
}

async function judge(settings: AgentSettings): Promise<string[]> {
  try {
    return (await readStatus(settings)).problems;
  } catch (error) {
    return [(error as Error).message];
  }
}

/** One line with the second (of Unix time) up to which it counts, one with `fine` or what is wrong. */
export function describeHealth(problems: readonly string[], now: Date): string {
  const until = Math.floor(now.getTime() / 1000) + GOOD_FOR_SECONDS;
  const verdict = problems.length === 0 ? "fine" : problems.join(" ").replace(/\s+/g, " ");
  return `${until}\n${verdict}\n`;
}

async function writeHealth(problems: readonly string[]): Promise<void> {
  await writeFile(`${FILE}.new`, describeHealth(problems, new Date()));
  await rename(`${FILE}.new`, FILE);
}
