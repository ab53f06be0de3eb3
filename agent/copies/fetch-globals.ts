import { buffer } from "node:stream/consumers";
import { requireSameGlobals } from "../backup/globals.ts";
import { refuse } from "../base/refuse.ts";
import type { CopiesPlace } from "./place.ts";
import type { WholeEntry } from "./remote-catalogue.ts";

/**
 * The roles that belong to a backup in a place of copies, as its manifest recorded them; null where it recorded none. Throws a Stop for
 * others, and when they are not there.
 */
export async function fetchGlobals(place: CopiesPlace, entry: WholeEntry): Promise<Buffer | null> {
  const recorded = entry.manifest.globals;
  if (!recorded) return null;
  if (!entry.globals)
    throw refuse(`${recorded.file}, the roles that belong to ${entry.name}, is not in ${place.shown}`);
  const content = await buffer(place.content(entry.globals));
  requireSameGlobals(content, recorded, `${place.shown}/${entry.globals.key}`);
  return content;
}
