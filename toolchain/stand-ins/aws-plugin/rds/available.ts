import { setTimeout as delay } from "node:timers/promises";

const LOOK_EVERY_MS = 5_000;
/** Amazon takes ten to twenty minutes for a database. */
const LONGEST_MS = 60 * 60 * 1000;

/** Looks until Amazon says `available`, and gives back what was seen then. Throws when it is gone, or says something else for an hour. */
export async function untilAvailable<Found>(
  what: string,
  look: () => Promise<Found | undefined>,
  statusOf: (found: Found) => string | undefined,
): Promise<Found> {
  for (const begun = Date.now(); ; await delay(LOOK_EVERY_MS)) {
    const found = await look();
    const status = found && statusOf(found);
    if (found && status === "available") return found;
    if (status === undefined) throw new Error(`${what} is gone`);
    if (Date.now() - begun > LONGEST_MS) throw new Error(`${what} is ${status}, after an hour`);
  }
}

/** The major version that was asked for, where that is what there is: Amazon answers `16.9` to `16`. */
export function askedVersion(asked: unknown, actual: string | undefined): unknown {
  return typeof asked === "string" && actual?.startsWith(`${asked}.`) ? asked : actual;
}
