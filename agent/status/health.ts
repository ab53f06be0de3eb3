import { rename, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { askingOnce } from "../base/asked-once.ts";
import { GOOD_FOR_SECONDS, LOOK_FILE } from "./last-look.ts";
import { rememberWhatIsHere } from "./missing.ts";
import { readStatus, type Status } from "./status.ts";

const EVERY_MS = 60_000;
/** Trouble is looked at more often: it may be over, as when the first backup has been taken. */
const TROUBLE_EVERY_MS = 10_000;

/**
 * Keeps writing down what `npx budgie status` would say, until `signal` aborts. So the container is healthy while backups are as
 * they should be, and not merely while a process lives. The healthcheck only reads a file. Never throws: a file that cannot be
 * written grows stale.
 * @param found is told what was found, each time
 */
export async function keepJudgingHealth(
  settings: AgentSettings,
  signal: AbortSignal,
  found: (status: Status) => Promise<void> = async () => undefined,
): Promise<void> {
  while (!signal.aborted) {
    const problems = await askingOnce(() => readProblems(settings, found));
    await writeHealth(problems).catch(() => undefined);
    await delay(problems.length === 0 ? EVERY_MS : TROUBLE_EVERY_MS, undefined, { signal }).catch(
      () => undefined,
    );
  }
}

async function readProblems(
  settings: AgentSettings,
  found: (status: Status) => Promise<void>,
): Promise<string[]> {
  const told = (error: Error) => [error.message];
  const unnoted = await rememberWhatIsHere(settings).then(() => [], told);
  try {
    const status = await readStatus(settings);
    await found(status);
    return [...new Set([...status.problems, ...unnoted])];
  } catch (error) {
    return [...new Set([...told(error as Error), ...unnoted])];
  }
}

/** One line with the second (of Unix time) up to which it counts, one with `fine` or what is wrong. */
export function describeHealth(problems: readonly string[], now: Date): string {
  const until = Math.floor(now.getTime() / 1000) + GOOD_FOR_SECONDS;
  const verdict = problems.length === 0 ? "fine" : problems.join(" ").replace(/\s+/g, " ");
  return `${until}\n${verdict}\n`;
}

async function writeHealth(problems: readonly string[]): Promise<void> {
  await writeFile(`${LOOK_FILE}.new`, describeHealth(problems, new Date()));
  await rename(`${LOOK_FILE}.new`, LOOK_FILE);
}
