import type { AgentSettings, ScheduleSettings } from "../../shared/agent-settings.ts";
import { EXIT, type ExitCode, Stop } from "../../shared/exit-codes.ts";
import { readSchedule } from "../../shared/schedule.ts";
import type { Reporter } from "../base/reporter.ts";
import { refreshAsConfigured } from "../restore/refresh-as-configured.ts";
import { prune } from "../retention/prune.ts";
import { keepSchedule } from "./loop.ts";
import { remembersUpTo } from "./next-run.ts";
import { readRefreshMemory, writeRefreshMemory } from "./refresh-memory.ts";

/** What ends before anything was loaded, and may be over in an hour. */
const MAY_PASS: readonly ExitCode[] = [EXIT.databaseUnreachable, EXIT.storeUnreachable];

/** Refreshes the stack as its settings say, until `signal` aborts; never where they name no schedule. Never throws. */
export async function keepRefreshing(
  settings: AgentSettings,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const schedule = settings.refresh?.schedule ?? null;
  if (schedule === null) return;
  const first = await readRefreshMemory(settings, schedule, new Date());
  await writeRefreshMemory(settings, schedule, first).catch(() => undefined);
  // Else each look would take what is due by then for served, where the disk is too full for the file.
  const began = new Date();
  await keepSchedule(
    readSchedule(schedule.expression, schedule.timeZone),
    { ms: 0, key: settings.stack },
    {
      name: "Scheduled refresh",
      read: () => readRefreshMemory(settings, schedule, began),
      write: memory => writeRefreshMemory(settings, schedule, memory),
      hasData: async () => true,
      run: () => refreshOnce(settings, schedule, report),
      maySoonSucceed,
      // Each has taken a safety backup, and the stack may take no others by itself.
      afterwards: async () => void (await prune(settings, report)),
    },
    report,
    signal,
  );
}

/**
 * A due time is served when its refresh begins: one that was killed is not begun again by itself. Else an agent that is ended by it,
 * as for its memory, would fill the disk with one safety backup after the other.
 */
async function refreshOnce(
  settings: AgentSettings,
  schedule: ScheduleSettings,
  report: Reporter,
): Promise<void> {
  const now = new Date();
  const before = await readRefreshMemory(settings, schedule, now);
  const served = remembersUpTo(readSchedule(schedule.expression, schedule.timeZone), now);
  await writeRefreshMemory(settings, schedule, served);
  try {
    await refreshAsConfigured(settings, { withoutSafetyBackup: false }, report);
  } catch (error) {
    const isBusy = error instanceof Stop && error.code === EXIT.busy;
    if (isBusy || maySoonSucceed(error))
      await writeRefreshMemory(settings, schedule, before).catch(() => undefined);
    throw error;
  }
}

function maySoonSucceed(error: unknown): boolean {
  return error instanceof Stop && MAY_PASS.includes(error.code);
}
