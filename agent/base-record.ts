import { z } from "zod";

const lsn = z.string().regex(/^[0-9A-F]+\/[0-9A-F]+$/i);

const baseRecord = z.object({
  format: z.literal(1),
  /** `20261122T140000Z`: when it was begun. */
  name: z.string().regex(/^\d{8}T\d{6}Z$/),
  stack: z.string(),
  systemIdentifier: z.string().regex(/^\d+$/),
  timeline: z.number().int().positive(),
  segmentBytes: z.number().int().positive(),
  /** The WAL from here on is needed, and up to there it must be replayed before there is anything consistent. */
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

/** What is recorded of a base backup. It is written last: without it there is no base backup. */
export type BaseRecord = z.infer<typeof baseRecord>;

/** null for what is no such record. */
export function parseBaseRecord(text: string): BaseRecord | null {
  try {
    return baseRecord.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export function textOfBaseRecord(record: BaseRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}
