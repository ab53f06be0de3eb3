import { setTimeout as delay } from "node:timers/promises";

const LOOK_EVERY_MS = 5_000;
/** Amazon takes ten to twenty minutes for a database. */
const LONGEST_MS = 60 * 60 * 1000;

/** Looks until Amazon says `available`. Throws when it says nothing of it, or something else for an hour. */
export async function untilAvailable(what: string, look: () => Promise<string | undefined>): Promise<void> {
  for (const begun = Date.now(); ; await delay(LOOK_EVERY_MS)) {
    const status = await look();
    if (status === "available") return;
    if (status === undefined) throw new Error(`${what} is gone`);
    if (Date.now() - begun > LONGEST_MS) throw new Error(`${what} is ${status}, after an hour`);
  }
}

/** The major version that was asked for, where that is what there is: Amazon answers `16.9` to `16`. */
export function askedVersion(asked: unknown, actual: string | undefined): unknown {
  return typeof asked === "string" && actual?.startsWith(`${asked}.`) ? asked : actual;
}
