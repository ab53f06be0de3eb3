import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { deliver } from "./deliver.ts";
import { readDestinations } from "./destinations.ts";
import type { Message } from "./message.ts";
import { noteDelivery } from "./state.ts";

/**
 * Tells whoever counts the backups that one began, succeeded or failed. A success is to be told only once the file, its manifest
 * and every copy are good. Never throws: who cannot be told is noted, and the status is red for it.
 */
export async function beat(
  settings: AgentSettings,
  kind: Extract<Message["kind"], "start" | "right" | "wrong">,
  sentence: string,
  report: Reporter,
): Promise<void> {
  try {
    const { heartbeat } = await readDestinations(settings);
    if (heartbeat === null) return;
    const message = { kind, stack: settings.stack, sentence, problems: [], at: new Date().toISOString() };
    const why = await deliver(heartbeat, message);
    await noteDelivery(settings, `heartbeat ${heartbeat.shown}`, why);
    if (why !== null) report.warn(`The heartbeat could not be sent to ${heartbeat.shown}: ${why}`);
  } catch (error) {
    report.warn((error as Error).message);
  }
}
