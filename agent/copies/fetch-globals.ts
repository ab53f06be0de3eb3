import { buffer } from "node:stream/consumers";
import type { ObjectStore } from "../../object-store/client.ts";
import { requireSameGlobals } from "../backup/globals.ts";
import { refuse } from "../base/refuse.ts";
import { fetchContent } from "../store/fetch-content.ts";
import type { WholeEntry } from "./remote-catalogue.ts";

/**
 * The roles that belong to a backup in the store, as its manifest recorded them; null where it recorded none. Throws a Stop for
 * others, and when they are not there.
 */
export async function fetchGlobals(store: ObjectStore, entry: WholeEntry): Promise<Buffer | null> {
  const recorded = entry.manifest.globals;
  if (!recorded) return null;
  if (!entry.globals)
    throw refuse(`${recorded.file}, the roles that belong to ${entry.name}, is not in ${store.shown}`);
  const content = await buffer(fetchContent(store, entry.globals));
  requireSameGlobals(content, recorded, `${store.shown}/${entry.globals.key}`);
  return content;
}
