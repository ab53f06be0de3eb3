import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readSchedule } from "../../shared/schedule.ts";
import { shownMinute } from "../base/shown-moment.ts";
import type { LastRun } from "../catalogue/last-run.ts";
import { readConfiguredMask } from "../restore/refresh-as-configured.ts";
import { nextRun } from "../schedule/next-run.ts";
import { readRefreshMemory } from "../schedule/refresh-memory.ts";
import { judgeLastRun } from "./judge-runs.ts";

/** How late a refresh may be before somebody must look. */
const MISSED_AFTER_MS = 3_600_000;

/** Whose data this stack takes over, and when. */
export interface RefreshStatus {
  from: string;
  /** Where that stack's backups are, as the operator wrote it. */
  source: string;
  /** When that happens next by itself, in ISO 8601; null where it is done by hand only. */
  next: { at: string; due: string } | null;
}

/** Adds to `problems` a refresh that failed, or was not done, or would fail. Null where there is none to do. */
export async function readRefreshStatus(
  settings: AgentSettings,
  { last, atWork }: { last: LastRun | null; atWork: boolean },
  problems: string[],
  now: Date,
): Promise<RefreshStatus | null> {
  const { refresh } = settings;
  if (refresh === null) return null;
  const { fromStack: from, source, schedule } = refresh;
  const running = last?.outcome === "running" && atWork;
  const again = running ? "" : " To try it again: npx budgie refresh";
  problems.push(...judgeLastRun(last, atWork).map(sentence => `${sentence}${again}`));
  await readConfiguredMask(refresh).catch((error: Error) =>
    problems.push(`The next refresh will fail: ${error.message} Mend it, then: npm run pulumi -- up`),
  );
  if (schedule === null) return { from, source, next: null };
  const { due, at } = nextRun(
    readSchedule(schedule.expression, schedule.timeZone),
    await readRefreshMemory(settings, schedule, now),
    { ms: 0, key: settings.stack },
    now,
  );
  if (!running && now.getTime() - at.getTime() > MISSED_AFTER_MS)
    problems.push(
      `The refresh that was due on ${shownMinute(due)} has not been done. See what the agent says: npx budgie logs backup`,
    );
  return { from, source, next: { at: at.toISOString(), due: due.toISOString() } };
}
