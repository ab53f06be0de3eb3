import { z } from "zod";

const keys = z.object({ accessKeyId: z.string().min(3), secretAccessKey: z.string().min(8) });
const days = z.number().int().min(1);

/** What the stack wants of its own store. Read from standard input, because of the secrets. */
export const wanted = z.object({
  endpoint: z.url({ protocol: /^https?$/ }),
  region: z.string().min(1),
  bucket: z.string().min(3),
  prefix: z.string().endsWith("/"),
  keepDays: days,
  noncurrentDays: days,
  /** 0 for no object lock. */
  lockDays: z.number().int().min(0),
  root: keys,
  writer: keys,
  reader: keys,
});

export type LocalStoreWanted = z.infer<typeof wanted>;
