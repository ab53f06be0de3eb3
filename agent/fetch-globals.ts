import { fetchContent } from "./fetch-content.ts";
import { requireSameGlobals } from "./globals.ts";
import type { ObjectStore } from "./object-store.ts";
import { refuse } from "./refuse.ts";
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
  const chunks: Buffer[] = [];
  for await (const chunk of fetchContent(store, entry.globals)) chunks.push(chunk);
  const content = Buffer.concat(chunks);
  requireSameGlobals(content, recorded, `${store.shown}/${entry.globals.key}`);
  return content;
}
