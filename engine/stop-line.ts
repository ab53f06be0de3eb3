import type { Engine } from "./find-engine.ts";

/** PostgreSQL writes everything down before it ends; killed earlier, it must recover at its next start. */
export const STOP_WITHIN_SECONDS = 90;

/** What an operator types to stop containers that may be servers. */
export function stopLine(kind: Engine["kind"], names: readonly string[]): string {
  return `${kind} stop -t ${STOP_WITHIN_SECONDS} ${names.join(" ")}`;
}
