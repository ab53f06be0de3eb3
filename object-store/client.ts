import { readFile } from "node:fs/promises";
import { S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
import type { OffsiteSettings } from "../shared/agent-settings.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";

/** How long a store may take to accept a connection, and how long an open one may be silent in either direction. */
const CONNECT_MS = 10_000;
const SILENCE_MS = 20_000;
const ATTEMPTS = 4;

/** Where a bucket is, and what to ask it with. */
export interface ObjectStore {
  client: S3Client;
  bucket: string;
  /** What the keys of this stack begin with. */
  prefix: string;
  /** `http://store:9000/budgie-backups`, `aws/budgie-backups`: as manifests record it and messages show it. */
  shown: string;
  kind: OffsiteSettings["kind"];
  /** Whose credentials these are: the agent's own, which put, or the operator's, which read. */
  role: "writer" | "reader";
  /** The private keys that open what is encrypted there; only a reader may have any. */
  identities: readonly string[];
}

export type StorePlace = Pick<
  OffsiteSettings,
  "kind" | "bucket" | "prefix" | "region" | "endpoint" | "pathStyle"
>;

const credentials = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).optional(),
});

export type StoreCredentials = z.infer<typeof credentials>;

/**
 * A client whose requests always end. Each fails with an error once the store has been silent for 20 seconds, even within the body
 * of an answer. It is tried four times where that can help. The client does not try the body of an answer again.
 */
export function openStore(
  place: StorePlace,
  credentials: StoreCredentials,
  role: ObjectStore["role"],
): ObjectStore {
  const { sessionToken, ...keys } = credentials;
  const client = new S3Client({
    region: place.region,
    ...(place.endpoint === null ? {} : { endpoint: place.endpoint }),
    forcePathStyle: place.pathStyle,
    // A bucket that was named by its URL may be in any region.
    followRegionRedirects: role === "reader",
    credentials: sessionToken ? { ...keys, sessionToken } : keys,
    maxAttempts: ATTEMPTS,
    retryMode: "standard",
    // Else every part would have a connection of its own, and wait for stores that never say "continue".
    expectContinueHeader: false,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
    // What is sent and what comes back is hashed with SHA-256 here; the client's default, CRC-32, is not known everywhere.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  signWithKnownHash(client);
  return {
    client,
    bucket: place.bucket,
    prefix: place.prefix,
    shown: shownPlace(place),
    kind: place.kind,
    role,
    identities: [],
  };
}

/** A signature also covers a hash of the body. Where the request carries its SHA-256 already, that is not computed again. */
function signWithKnownHash(client: S3Client): void {
  client.middlewareStack.add(
    next => args => {
      const { headers } = args.request as { headers: Record<string, string> };
      const known = headers["x-amz-checksum-sha256"];
      if (known) headers["x-amz-content-sha256"] = Buffer.from(known, "base64").toString("hex");
      return next(args);
    },
    { step: "build", name: "signWithKnownHash" },
  );
}

/** The stack's store with the agent's own credentials. Throws a Stop when they are not there. */
export async function openWriter(offsite: OffsiteSettings): Promise<ObjectStore> {
  const text = await readFile(offsite.writerFile, "utf8").catch((error: Error) => {
    throw new Stop(
      EXIT.storeRefused,
      `The credentials for ${shownPlace(offsite)} cannot be read: ${error.message}.`,
      "Run `npm run pulumi -- up`, which gives them to the agent.",
    );
  });
  return openStore(offsite, parseCredentials(text, offsite.writerFile), "writer");
}

export function shownPlace(place: Pick<StorePlace, "endpoint" | "bucket">): string {
  return `${place.endpoint?.replace(/\/+$/, "") ?? "aws"}/${place.bucket}`;
}

/** Never says what the text is: it is a secret, or was meant to be one. */
function parseCredentials(text: string, from: string): StoreCredentials {
  try {
    return credentials.parse(JSON.parse(text));
  } catch {
    throw new Stop(
      EXIT.storeRefused,
      `${from} does not hold credentials: accessKeyId and secretAccessKey as JSON.`,
      "Run `npm run pulumi -- up`, which gives them to the agent.",
    );
  }
}
