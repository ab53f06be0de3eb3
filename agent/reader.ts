import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { EXIT, Stop } from "./exit-codes.ts";
import { keepSecret, takeSecret } from "./kept-secret.ts";
import { type ObjectStore, openStore, type StorePlace } from "./object-store.ts";
import type { AgentSettings } from "./settings.ts";

/** Credentials that may read, and where the bucket is when that is not the stack's own store. */
const reader = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).optional(),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  region: z.string().min(1).optional(),
  bucket: z.string().min(1).optional(),
  prefix: z.string().optional(),
  pathStyle: z.boolean().optional(),
});

export type Reader = z.infer<typeof reader>;

/** Keeps what comes on standard input for the one command that follows, and returns the path to tell that command. */
export async function keepReader(stdin: Readable): Promise<string> {
  return keepSecret("reader", JSON.stringify(parseReader(await text(stdin))));
}

/** Reads and deletes what was kept: it serves once. Throws a Stop when it is not there. */
export async function takeReader(path: string): Promise<Reader> {
  const kept = await takeSecret("reader", path);
  if (kept === null) throw noReader(`There are no credentials at ${path}; they serve one command`);
  return parseReader(kept);
}

/**
 * The store as these credentials see it: the stack's own, unless they say where else. `bucket`, when given, goes before both.
 * Throws a Stop when nothing says which.
 */
export function openReader(
  settings: AgentSettings,
  credentials: Reader,
  identities: readonly string[],
  bucket?: string,
): ObjectStore {
  const { offsite } = settings;
  const chosen = bucket ?? credentials.bucket ?? offsite?.bucket;
  if (!chosen) {
    throw new Stop(
      EXIT.usage,
      `Stack ${settings.stack} has no object store, so it is not clear where to read.`,
      "Name the object: npx budgie restore s3://BUCKET/KEY",
    );
  }
  const own = credentials.endpoint ? null : offsite;
  const place: StorePlace = {
    kind: own?.kind ?? (credentials.endpoint ? "s3" : "aws"),
    bucket: chosen,
    prefix: credentials.prefix ?? offsite?.prefix ?? `${settings.stack}/`,
    region: credentials.region ?? offsite?.region ?? "us-east-1",
    endpoint: credentials.endpoint ?? own?.endpoint ?? null,
    pathStyle: credentials.pathStyle ?? own?.pathStyle ?? credentials.endpoint !== undefined,
  };
  return { ...openStore(place, credentials, "reader"), identities };
}

/** Never says what the text is: it is a secret, or was meant to be one. */
function parseReader(kept: string): Reader {
  try {
    return reader.parse(JSON.parse(kept));
  } catch {
    throw noReader("What came is not credentials: accessKeyId and secretAccessKey as JSON");
  }
}

export function noReader(what: string): Stop {
  return new Stop(
    EXIT.usage,
    `${what}.`,
    "Use `npx budgie`, which gives the agent credentials that may read, for this one command.",
  );
}
