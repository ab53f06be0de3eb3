import { setTimeout as delay } from "node:timers/promises";
import { sendCopies } from "./copies.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";

const EVERY_MS = 5 * 60_000;

/**
 * Sends what is missing now and every five minutes, until `signal` aborts: what was taken while a place was away, or while the
 * agent was killed, gets there. Says how it went when that changes, not at each try. Never throws.
 */
export async function keepSendingCopies(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  let told: string | null = null;
  while (!signal.aborted) {
    const trouble = await sendOnce(settings, report, signal);
    if (signal.aborted) return;
    if (trouble !== null && trouble !== told) report.warn(trouble);
    if (trouble === null && told !== null) report.done("Copies are sent again, and none is missing");
    told = trouble;
    await delay(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** What went wrong; null when all is sent. */
async function sendOnce(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const { store, ssh } = await sendCopies(settings, { operation: "serve", reader: null, signal }, report);
    const failures = [store?.failure, ssh?.failure].flatMap(failure => (failure ? [failure.message] : []));
    return failures.length > 0 ? failures.join(" ") : null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What an upload ends with when the agent is told to stop. */
export function agentStops(): Stop {
  return new Stop(EXIT.failed, "The agent was told to stop.", "It goes on when it is started again.");
}
