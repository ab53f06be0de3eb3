import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./durable-file.ts";
import type { Chain, ChainContent } from "./wal-chain.ts";
import type { SealedSegment } from "./wal-segment.ts";

const sent = z.object({
  /** `http://store:9000/budgie-backups`; what another store has is not known. */
  store: z.string(),
  /** Segments are sent in order: this one and all before it are there. */
  segment: z.string().nullable(),
  bases: z.array(z.string()),
});

/** What of a chain is known to be in the store. */
export type Sent = z.infer<typeof sent>;

export async function readSent({ folder }: Pick<Chain, "folder">, store: string): Promise<Sent> {
  try {
    const known = sent.parse(JSON.parse(await readFile(join(folder, "sent.json"), "utf8")));
    if (known.store === store) return known;
  } catch {
    // Sent once more, it is found there: its key holds its hash.
  }
  return { store, segment: null, bases: [] };
}

export function saveSent({ folder }: Pick<Chain, "folder">, known: Sent): Promise<void> {
  return replaceFile(join(folder, "sent.json"), `${JSON.stringify(known)}\n`);
}

/** What is not known to be there, in the order in which it is to be sent. */
export function unsentSegments({ sealed }: ChainContent, { segment }: Sent): SealedSegment[] {
  return sealed.filter(other => segment === null || other.segment > segment);
}

export function unsentBases({ bases }: ChainContent, known: Sent): ChainContent["bases"] {
  return bases.filter(({ name }) => !known.bases.includes(name));
}
