import { z } from "zod";
import { parseRecord, readableText } from "../base/json-record.ts";

const lsn = z.string().regex(/^[0-9A-F]+\/[0-9A-F]+$/i);

const baseRecord = z.object({
  format: z.literal(1),
  /** `20261122T140000Z`: when it was begun. */
  name: z.string().regex(/^\d{8}T\d{6}Z$/),
  stack: z.string(),
  systemIdentifier: z.string().regex(/^\d+$/),
  timeline: z.number().int().positive(),
  segmentBytes: z.number().int().positive(),
  /** The WAL is needed from the first one on. The data is consistent once it is replayed up to the second. */
  startLsn: lsn,
  stopLsn: lsn,
  /** From this moment on, by the server's clock, it can be recovered to. */
  consistentAt: z.iso.datetime(),
  serverVersion: z.string(),
  /** What the cluster took on the server's disk. */
  clusterBytes: z.number().int().nonnegative(),
  /** Server settings without which its data cannot be recovered, or opened. */
  parameters: z.record(z.string(), z.string()),
  /** As they lie beside the record. The first is the data directory. */
  files: z
    .array(z.object({ name: z.string(), bytes: z.number().int().nonnegative(), sha256: z.string() }))
    .min(1),
});

/** The record of a base backup. It is written last: without it there is no base backup. */
export type BaseRecord = z.infer<typeof baseRecord>;

/** Null for anything that is no such record. */
export function parseBaseRecord(text: string): BaseRecord | null {
  const reading = parseRecord(baseRecord, text);
  return reading.found ? reading.record : null;
}

export function textOfBaseRecord(record: BaseRecord): string {
  return readableText(record);
}
