import { join } from "node:path";
import { z } from "zod";
import { readRecord, writeRecord } from "../base/json-record.ts";
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

/** Where the record cannot be read, nothing is known to be there. Sending it once more finds it, because its key holds its hash. */
export async function readSent(chain: Pick<Chain, "folder">, store: string): Promise<Sent> {
  const reading = await readRecord(sent, sentPath(chain));
  return reading.found && reading.record.store === store
    ? reading.record
    : { store, segment: null, bases: [] };
}

export function saveSent(chain: Pick<Chain, "folder">, known: Sent): Promise<void> {
  return writeRecord(sentPath(chain), known);
}

function sentPath({ folder }: Pick<Chain, "folder">): string {
  return join(folder, "sent.json");
}

/** The segments that are not known to be in the store, in the order in which they are sent. */
export function unsentSegments({ sealed }: ChainContent, { segment }: Sent): SealedSegment[] {
  return sealed.filter(other => segment === null || other.segment > segment);
}

export function unsentBases({ bases }: ChainContent, known: Sent): ChainContent["bases"] {
  return bases.filter(({ name }) => !known.bases.includes(name));
}
