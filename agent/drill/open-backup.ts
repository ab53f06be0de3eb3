import type { Readable } from "node:stream";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { readLikeness } from "../throwaway/empty-cluster.ts";
import { withThrowawayPlace } from "../throwaway/place.ts";
import { runThrowawayServer } from "../throwaway/server.ts";
import { BadBackup } from "./bad-backup.ts";
import { keepOpen, type OpenBackup } from "./keep-open.ts";
import { findHere } from "./source.ts";
import { DATABASE, planFor, prepareServer } from "./trial-server.ts";
import { compare, know, LoadRefused, load } from "./try-backup.ts";

/**
 * Loads a backup into a throw-away server, compares it, tells `opened` where it is, and keeps it until `left` ends. The live database is
 * asked once what it is like, and otherwise left alone; so no lock is taken. Records nothing. When this process is killed, the next
 * operation ends and removes the server. Throws a Stop for a backup that is not what its manifest recorded.
 */
export function openBackup(
  settings: AgentSettings,
  which: string,
  left: Readable,
  report: Reporter,
  opened: (where: OpenBackup) => void,
): Promise<void> {
  return withThrowawayPlace("look", `at ${which} since ${new Date().toISOString()}`, async place => {
    const source = await findHere(settings, which);
    try {
      const known = await know(source, report);
      const trial = { source, known, likeness: await readLikeness(settings) };
      report.info(`Loading ${source.shown} into a throw-away server, and comparing it`);
      await runThrowawayServer(settings, place, planFor(settings, trial), async server => {
        await prepareServer(server, place, trial);
        await compare(await load(server, trial, report), source);
        await keepOpen(server, DATABASE, left, opened);
      });
    } catch (error) {
      if (!(error instanceof BadBackup) && !(error instanceof LoadRefused)) throw error;
      throw new Stop(
        EXIT.unusableBackup,
        `${source.shown} cannot be opened: ${error.message}.`,
        `Have it looked at: npx budgie drill ${source.name}. Or use another backup: \`npx budgie list\` shows them.`,
      );
    }
  });
}
