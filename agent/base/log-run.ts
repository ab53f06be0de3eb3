import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";

/** A piece of the agent's own work, from its beginning to its end. */
export interface LogRun {
  /** Eight hexadecimal digits, the same in every line of the run. */
  run: string;
  /** What the run is for, as `status` names it. */
  operation: string;
}

const current = new AsyncLocalStorage<LogRun>();

/** Marks every line that `work` logs as one run's. A run inside of a run belongs to the outer one. */
export function inLogRun<T>(operation: string, work: () => Promise<T>): Promise<T> {
  if (current.getStore()) return work();
  return current.run({ run: randomBytes(4).toString("hex"), operation }, work);
}

export function currentLogRun(): LogRun | undefined {
  return current.getStore();
}
