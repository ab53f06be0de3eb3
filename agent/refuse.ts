import { EXIT, Stop } from "./exit-codes.ts";

/** A backup that cannot be used. `what` says why, without its final dot. */
export function refuse(what: string, next = "Use another backup: `npx budgie list` shows them."): Stop {
  return new Stop(EXIT.unusableBackup, `${what}.`, next);
}
