/** What the engine says of a container, as far as it is asked here. */
export interface Inspected {
  RestartCount?: number;
  State: { Status?: string; Running?: boolean; Restarting?: boolean; StartedAt?: string };
}

/** One that has been up for longer than this has got over what ended it. */
const SETTLED_AFTER_MS = 5 * 60_000;
/** Once may be anything. */
const TIMES = 2;

/** Whether a container ends by itself and is started again by the engine, over and over: also in the moments when it runs. */
export function restartsInALoop({ RestartCount: count = 0, State: state }: Inspected, now: Date): boolean {
  if (state.Restarting || state.Status === "restarting") return true;
  if (!state.Running || count < TIMES) return false;
  return now.getTime() - Date.parse(state.StartedAt ?? "") < SETTLED_AFTER_MS;
}
