import type { Status } from "../status/status.ts";
import type { ShownBackup } from "./shown-backups.ts";

/** What was seen last. Pages, metrics and probes show this and ask nobody: however often they are asked, nothing has work with it. */
export interface Board {
  seen: Seen | null;
}

export interface Seen {
  status: Status;
  backups: ShownBackup[];
}

/** Longer ago, and what was seen says nothing of how things are. */
export const COUNTS_FOR_MS = 240_000;

/** Why what is on the board does not count any more; null while it does. */
export function staleness({ seen }: Board, now: Date): string | null {
  if (seen === null) return "The agent has not yet looked at everything: it has just started.";
  const age = now.getTime() - Date.parse(seen.status.at);
  if (age >= 0 && age < COUNTS_FOR_MS) return null;
  return `The agent has looked at nothing since ${seen.status.at}. Start it again: npx budgie restart backup`;
}
