import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { deliver } from "./deliver.ts";
import { readDestinations } from "./destinations.ts";
import { noteDelivery } from "./state.ts";

/** Sends a message to everybody who would be told. Throws a Stop when one of them did not take it. */
export async function testAlerts(settings: AgentSettings, report: Reporter): Promise<void> {
  const { heartbeat, alerts } = await readDestinations(settings);
  if (heartbeat === null && alerts.length === 0)
    throw new Stop(
      EXIT.failed,
      "Nobody is told when something is wrong: no alert is set.",
      "Set one: npm run pulumi -- config set --secret budgie:alertUrl",
    );
  const at = new Date().toISOString();
  const sentence = "This is a test: alerts reach you.";
  const message = { kind: "test", stack: settings.stack, sentence, problems: [], at } as const;
  const places = [
    ...alerts.map(target => ({ target, name: target.shown })),
    ...(heartbeat ? [{ target: heartbeat, name: `heartbeat ${heartbeat.shown}` }] : []),
  ];
  const failed: string[] = [];
  for (const { target, name } of places) {
    const why = await deliver(target, message, []);
    await noteDelivery(settings, name, why);
    if (why === null) report.done(`${name} took it`);
    else failed.push(`${name}: ${why}`);
  }
  if (failed.length > 0)
    throw new Stop(
      EXIT.failed,
      `Not delivered: ${failed.join("; ")}.`,
      "See that the address is right, and set it again: npm run pulumi -- config set --secret budgie:alertUrl",
    );
}
