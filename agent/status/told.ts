import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readDestinations } from "../alert/destinations.ts";
import { judgeDeliveries, readAlertState } from "../alert/state.ts";

/** Who is told when something is wrong. Adds to `problems` whoever could not be. */
export async function readTold(settings: AgentSettings, problems: string[]): Promise<string> {
  const { heartbeat, alerts } = await readDestinations(settings);
  const names = [...alerts.map(({ shown }) => shown), ...(heartbeat ? [`heartbeat ${heartbeat.shown}`] : [])];
  if (names.length === 0)
    return "nobody is told when something is wrong (budgie:alertUrl, budgie:heartbeatUrl)";
  problems.push(...judgeDeliveries(await readAlertState(settings), names));
  return names.join(", ");
}
