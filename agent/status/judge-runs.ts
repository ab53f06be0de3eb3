import { countingRuns, type LastRun, type LastRuns } from "../catalogue/last-run.ts";

/** `atWork`: what may be at work. */
export function judgeLastRuns(runs: LastRuns, atWork: { underLock: boolean; drill: boolean }): string[] {
  const { drill, moment: _, refresh: __, ...underLock } = countingRuns(runs);
  return [
    ...Object.values(underLock).flatMap(run => judgeLastRun(run, atWork.underLock)),
    ...judgeLastRun(drill, atWork.drill),
  ];
}

export function judgeLeftovers(left: readonly string[]): string[] {
  if (left.length === 0) return [];
  return [
    `A killed operation has left this: ${left.join(", ")}. The next operation clears it away: npx budgie backup`,
  ];
}

/** One that is at work is not judged yet. That the one before it failed still holds. */
export function judgeLastRun(run: LastRun | null, atWork: boolean): string[] {
  if (run?.outcome === "failed") return [`The last ${run.operation} failed: ${run.message}`];
  if (run?.outcome !== "running") return [];
  const { operation, startedAt, message } = run;
  if (!atWork)
    return [`The last ${operation}, of ${startedAt}, has not ended; if none is at work, it was killed.`];
  if (message === null) return [];
  return [`The last ${operation} failed, and is tried again at the moment. It failed with: ${message}`];
}
