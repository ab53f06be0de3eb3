import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { inLogRun } from "../base/log-run.ts";
import type { Reporter } from "../base/reporter.ts";
import { sendCopies } from "./send.ts";

const EVERY_MS = 5 * 60_000;

/**
 * Sends what is missing, now and every five minutes, until `signal` aborts. So a backup gets there that was taken while a place was
 * away, or was cut off by a kill. Says how it went when that changes, not at each try. Never throws.
 */
export async function keepSendingCopies(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  let told: string | null = null;
  while (!signal.aborted) {
    told = await inLogRun("sending copies", () => sendAndSay(settings, told, report, signal));
    if (signal.aborted) return;
    await delay(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** @param told the trouble that was said last; what is given back is said now */
async function sendAndSay(
  settings: AgentSettings,
  told: string | null,
  report: Reporter,
  signal: AbortSignal,
): Promise<string | null> {
  const trouble = await sendOnce(settings, report, signal);
  if (signal.aborted) return told;
  if (trouble !== null && trouble !== told) report.warn(trouble);
  if (trouble === null && told !== null) report.done("Copies are sent again, and none is missing");
  return trouble;
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
