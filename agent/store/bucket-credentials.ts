import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { type ObjectStore, openStore, type StorePlace } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { keyPrefix } from "../../shared/key-prefix.ts";
import type { BucketPlace } from "../../shared/refresh-source.ts";
import { keepSecret, takeSecret } from "../base/kept-secret.ts";

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

/** Reads and deletes what was kept, so that it serves once. Throws a Stop when it is not there. */
export async function takeReader(path: string): Promise<Reader> {
  const kept = await takeSecret("reader", path);
  if (kept === null) throw noReader(`There are no credentials at ${path}; they serve one command`);
  return parseReader(kept);
}

/**
 * The store as these credentials see it: the stack's own, unless they name another place. `bucket`, when given, wins over both.
 * Throws a Stop when nothing names a bucket.
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
    prefix: credentials.prefix ?? offsite?.prefix ?? keyPrefix(settings.stack),
    region: credentials.region ?? offsite?.region ?? "us-east-1",
    endpoint: credentials.endpoint ?? own?.endpoint ?? null,
    pathStyle: credentials.pathStyle ?? own?.pathStyle ?? credentials.endpoint !== undefined,
  };
  return { ...openStore(place, credentials, "reader"), identities };
}

/** Another stack's bucket: what its address does not say is as in the credentials, or as in this stack's own store. */
export function openBucketOf(
  settings: AgentSettings,
  fromStack: string,
  place: BucketPlace,
  credentials: Reader,
  identities: readonly string[],
): ObjectStore {
  const store = openStore(storePlaceOf(settings, fromStack, place, credentials), credentials, "reader");
  return { ...store, identities };
}

function storePlaceOf(
  { offsite }: Pick<AgentSettings, "offsite">,
  fromStack: string,
  place: BucketPlace,
  credentials: Pick<Reader, "endpoint" | "region" | "pathStyle">,
): StorePlace {
  const named = place.endpoint ?? credentials.endpoint ?? null;
  const own = named === null ? offsite : null;
  const endpoint = named ?? own?.endpoint ?? null;
  return {
    kind: own?.kind ?? (endpoint === null ? "aws" : "s3"),
    bucket: place.bucket,
    prefix: place.prefix ?? keyPrefix(fromStack),
    region: place.region ?? credentials.region ?? own?.region ?? "us-east-1",
    endpoint,
    pathStyle: place.pathStyle ?? credentials.pathStyle ?? own?.pathStyle ?? endpoint !== null,
  };
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
