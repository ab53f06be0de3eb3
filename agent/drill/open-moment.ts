import type { Readable } from "node:stream";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { localChains } from "../point-in-time/chain-source.ts";
import { parseMoment, type WithMoment } from "../point-in-time/moment.ts";
import { withRecovered } from "../point-in-time/recover.ts";
import { withThrowawayPlace } from "../throwaway/place.ts";
import { keepOpen, type OpenBackup } from "./keep-open.ts";

const AT: WithMoment = moment => `npx budgie at "${moment}" psql`;

/**
 * Recovers the database as it was at a moment in a throw-away server, tells `opened` where it is, and keeps it until `left` ends. Base
 * backups and WAL are only read, and no lock is taken. Records nothing. When this process is killed, the next operation ends and
 * removes the server. Throws a Stop for a moment that cannot be gone back to.
 */
export async function openMoment(
  settings: AgentSettings,
  at: string,
  left: Readable,
  report: Reporter,
  opened: (where: OpenBackup) => void,
): Promise<void> {
  const recovery = { moment: parseMoment(at, AT), source: localChains(settings) };
  await withThrowawayPlace("look", `at ${at} since ${new Date().toISOString()}`, place =>
    withRecovered(
      settings,
      place,
      recovery,
      report,
      server => keepOpen(server, settings.database, left, opened),
      AT,
    ),
  );
}
