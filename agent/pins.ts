import { z } from "zod";
import { manifestName } from "./backup-name.ts";

const pin = z.object({
  /** Null: until `unpin`. */
  until: z.iso.datetime().nullable(),
  pinnedAt: z.iso.datetime(),
});

/** The mark on a backup that retention must leave alone, until a time or for good. */
export type Pin = z.infer<typeof pin>;

/**
 * The file beside a backup that pins it: `budgie_20251125_092704.pin`. One for each backup, so that two commands at the same
 * time cannot lose each other's pins, and a backup that is copied elsewhere with its files is pinned there too.
 */
export function pinName(backup: string): string | null {
  return manifestName(backup)?.replace(/json$/, "pin") ?? null;
}

export function formatPin(written: Pin): string {
  return `${JSON.stringify(written)}\n`;
}

/** A pin whose file says nothing readable is one for good: somebody wanted the backup kept. */
export function parsePin(text: string): Pin {
  try {
    return pin.parse(JSON.parse(text));
  } catch {
    return { until: null, pinnedAt: new Date(0).toISOString() };
  }
}
