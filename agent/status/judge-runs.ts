import { countingRuns, type LastRun, type LastRuns } from "../catalogue/last-run.ts";

/** `atWork`: what is at work is not judged yet. */
export function judgeLastRuns(runs: LastRuns, atWork: { underLock: boolean; drill: boolean }): string[] {
  const { drill, moment: _, refresh: __, ...underLock } = countingRuns(runs);
  const ended = Object.values(underLock).filter(run => !(run?.outcome === "running" && atWork.underLock));
  return [...ended, atWork.drill ? null : drill].flatMap(judgeLastRun);
}

export function judgeLeftovers(left: readonly string[]): string[] {
  if (left.length === 0) return [];
  return [
    `A killed operation has left this: ${left.join(", ")}. The next operation clears it away: npx budgie backup`,
  ];
}

export function judgeLastRun(run: LastRun | null): string[] {
  if (run?.outcome === "failed") return [`The last ${run.operation} failed: ${run.message}`];
  if (run?.outcome === "running")
    return [
      `The last ${run.operation}, of ${run.startedAt}, has not ended; if none is at work, it was killed.`,
    ];
  return [];
}
