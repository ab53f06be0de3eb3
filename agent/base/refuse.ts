import { EXIT, Stop } from "../../shared/exit-codes.ts";

/** The Stop for a backup that cannot be used. `what` says why, without a final dot. */
export function refuse(what: string, next = "Use another backup: `npx budgie list` shows them."): Stop {
  return new Stop(EXIT.unusableBackup, `${what}.`, next);
}
