import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { type AlertTarget, parseAlertUrl, splitAlertUrls } from "../../shared/alert-url.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { lostSecretFile } from "../base/secret-files.ts";

/** Who is told. The addresses are secrets: nothing of them but `shown` is ever printed or logged. */
export interface Destinations {
  /** Is told of each scheduled backup that began, succeeded or failed; null where the stack has none. */
  heartbeat: AlertTarget | null;
  /** Are told when something is wrong, and when it is right again. */
  alerts: AlertTarget[];
}

const file = z.object({ heartbeat: z.string(), alerts: z.string() });

export async function readDestinations({ alertsFile }: AgentSettings): Promise<Destinations> {
  if (alertsFile === null) return { heartbeat: null, alerts: [] };
  const lost = lostSecretFile(alertsFile);
  if (lost) throw lost;
  const parsed = file.safeParse(JSON.parse(await readFile(alertsFile, "utf8")));
  const targets = parsed.success ? splitAlertUrls(parsed.data.alerts).map(parseAlertUrl) : [null];
  const alerts = targets.filter(target => target !== null);
  if (!parsed.success || alerts.length < targets.length)
    throw new Stop(
      EXIT.failed,
      "Where alerts go is not readable.",
      "Have the stack write it again: npm run up",
    );
  return { heartbeat: heartbeatTarget(parsed.data.heartbeat), alerts };
}

/** Services of either kind take a start and a failure beside a success. */
function heartbeatTarget(url: string): AlertTarget | null {
  if (url === "") return null;
  const target = parseAlertUrl(url);
  if (target === null) return null;
  const shape = target.shape === "uptime-kuma" ? target.shape : "healthchecks";
  return { ...target, shape, shown: target.shown.replace(/\(.*\)/, `(${shape})`) };
}
