import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { shownMoment } from "../base/shown-moment.ts";
import { pointInTimeFolder } from "./wal-chain.ts";

const DAY_MS = 24 * 3_600_000;
/** A drill is due every seven days, and follows a backup. */
const OLD_AFTER_MS = 9 * DAY_MS;

const drilled = z.object({
  at: z.iso.datetime(),
  outcome: z.enum(["good", "bad"]),
  /** What is wrong, and what to type then; null when it is good. */
  why: z.string().nullable(),
  next: z.string().nullable(),
  /** The backup that the recovered database was compared with, and the base backup that was recovered. */
  backup: z.string(),
  base: z.string(),
  /** When that backup was taken: the moment that was gone back to. */
  moment: z.iso.datetime(),
  serverVersion: z.string(),
  seconds: z.number().nonnegative(),
  /** Why pages and indexes were not checked; null when they were. */
  notChecked: z.string().nullable(),
});

/** How the newest drill of point in time came out. A drill that could not run leaves it as it is. */
export type PointInTimeDrill = z.infer<typeof drilled>;

/** Null when there was none, or what it said is not known: then the next one is due. */
export async function readPointInTimeDrill(settings: AgentSettings): Promise<PointInTimeDrill | null> {
  const reading = await readRecord(drilled, drillPath(settings));
  return reading.found ? reading.record : null;
}

export function savePointInTimeDrill(settings: AgentSettings, drill: PointInTimeDrill): Promise<void> {
  return writeRecord(drillPath(settings), drill);
}

function drillPath(settings: AgentSettings): string {
  return join(pointInTimeFolder(settings), "drilled.json");
}

/** @param earliest the first moment that can be gone back to; null when there is none */
export function judgePointInTimeDrill(
  drill: PointInTimeDrill | null,
  earliest: number | null,
  now: Date,
): { problems: string[]; notes: string[] } {
  const problems: string[] = [];
  const notes: string[] = [];
  if (drill?.outcome === "bad")
    problems.push(
      `Going back to ${shownMoment(Date.parse(drill.moment))} failed its drill of ${drill.at.slice(0, 10)}: ${drill.why}. ${drill.next ?? ""}`.trim(),
    );
  if (drill?.outcome === "good" && drill.notChecked !== null)
    notes.push(`The last drill of point in time did not check pages and indexes: ${drill.notChecked}.`);
  const since = drill === null ? earliest : Date.parse(drill.at);
  if (since !== null && now.getTime() - since > OLD_AFTER_MS)
    notes.push(
      drill === null
        ? "Going back to a moment has not been proven yet. Prove it: npx budgie drill --at"
        : `That a moment can be gone back to was proven ${Math.floor((now.getTime() - since) / DAY_MS)} days ago. Prove it again: npx budgie drill --at`,
    );
  return { problems, notes };
}
