import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { saveIdentity } from "../catalogue/identity.ts";
import { operate } from "../operation/operate.ts";
import { readServerFacts } from "../server/connection.ts";
import { previousDatabases } from "../server/set-aside.ts";
import { requireFreeWay } from "./in-the-way.ts";
import type { Restored } from "./restoring.ts";
import { swapIn } from "./swap.ts";

/** Swaps the newest database that was set aside back into place. What is live now is set aside in its turn. */
export function undoRestore(settings: AgentSettings, report: Reporter): Promise<Restored> {
  return operate(settings, { kind: "restore", name: "restore --undo" }, report, async lock => {
    const [newest] = await previousDatabases(lock.session, settings.database);
    if (!newest) {
      throw new Stop(
        EXIT.unusableBackup,
        `No database is set aside for ${settings.database}, so there is nothing to go back to.`,
        "Restore a backup instead: `npx budgie list` shows them.",
      );
    }
    const { slotsLeftBehind } = await requireFreeWay(lock.session, settings.database, report);
    const previousDatabase = await swapIn(settings, lock, newest);
    const { systemIdentifier, tables } = await readServerFacts(settings);
    await saveIdentity(settings, systemIdentifier, tables === 0);
    report.done(`${newest} is ${settings.database} again. Tables: ${tables}`);
    if (previousDatabase) report.info(`What was there until now is kept as ${previousDatabase}`);
    return {
      source: newest,
      database: settings.database,
      tables,
      rows: 0,
      safetyBackup: null,
      previousDatabase,
      notCompared: [],
      slotsLeftBehind,
    };
  });
}
