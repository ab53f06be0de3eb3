import { setTimeout as delay } from "node:timers/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { withContainerLock } from "../base/container-lock.ts";
import { removeLeftovers } from "../base/durable-file.ts";
import type { Reporter } from "../base/reporter.ts";
import { readOffsiteState, shownHolder } from "./offsite-state.ts";

const ASK_EVERY_MS = 500;
const PATIENCE_MS = 15 * 60_000;

/**
 * One command at a time sends or fetches copies, so that nothing is sent twice and no two write into one manifest. It is not the
 * database's lock: copies are sent while the database is away, and hours of sending hold off no backup. It lies in the container and
 * not in the backup directory, whose file system may note times too roughly to tell a holder's sign of life.
 *
 * Waits for another holder and names it; throws a Stop after 15 minutes. Removes first what a killed fetch has left.
 */
export async function withCopiesLock<T>(
  settings: AgentSettings,
  report: Reporter,
  work: () => Promise<T>,
): Promise<T> {
  let waits = false;
  for (const giveUpAt = Date.now() + PATIENCE_MS; ; await delay(ASK_EVERY_MS)) {
    let held = false;
    try {
      return await withContainerLock(`copies-${settings.stack}`, "copies", async () => {
        held = true;
        await removeLeftovers(settings.backupDir, pulls(settings)).catch(() => undefined);
        return work();
      });
    } catch (error) {
      if (held || !(error instanceof Stop) || error.code !== EXIT.busy) throw error;
      if (Date.now() > giveUpAt) throw await stillHeld(settings);
    }
    if (!waits)
      report.info(
        `Waiting for ${shownHolder(await readOffsiteState(settings))}, which sends copies at the moment`,
      );
    waits = true;
  }
}

/** The label of a fetch's hidden files. It is not the stack's name alone: a backup removes its own stack's, under another lock. */
export function pulls({ stack }: Pick<AgentSettings, "stack">): string {
  return `pull-${stack}`;
}

async function stillHeld(settings: AgentSettings): Promise<Stop> {
  return new Stop(
    EXIT.busy,
    `${shownHolder(await readOffsiteState(settings))}, still sends copies.`,
    "What is missing is sent next, by itself; `npx budgie status` shows how it stands.",
  );
}
