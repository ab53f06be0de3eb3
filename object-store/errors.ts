import { EXIT, type ExitCode, Stop } from "../shared/exit-codes.ts";
import type { ObjectStore } from "./client.ts";

/** The parts that matter of what the client throws. `name` is the store's own code, where it answered. */
interface StoreError extends Error {
  code?: string;
  $metadata?: { httpStatusCode?: number; attempts?: number };
}

type Asked = Pick<ObjectStore, "shown" | "kind" | "role" | "bucket">;
type Explanation = (asked: Asked) => [why: string, next: string];

/** Why stores refuse, by the code that they give. Any other refusal is told in the store's own words. */
const REFUSALS: Record<string, Explanation> = {
  InvalidAccessKeyId: asked => ["it does not know the access key", rightKeys(asked)],
  SignatureDoesNotMatch: asked => ["the secret key does not fit the access key", rightKeys(asked)],
  InvalidToken: asked => ["the session token is not valid", rightKeys(asked)],
  ExpiredToken: asked => ["the credentials have expired", rightKeys(asked)],
  AccessDenied: asked => [
    asked.role === "writer" ? "the agent's key may not put backups there" : "your key may not read there",
    asked.role === "writer"
      ? "Run `npm run pulumi -- up`, which sets what the key may do; in a store that it cannot do that in, allow s3:PutObject and s3:AbortMultipartUpload."
      : "Use credentials that may list and get in this bucket.",
  ],
  NoSuchBucket: ({ bucket }) => [
    `there is no bucket ${bucket}`,
    "Run `npm run pulumi -- up`, which makes it.",
  ],
  PermanentRedirect: () => ["the bucket is in another region", SET_REGION],
  AuthorizationHeaderMalformed: () => ["the bucket is in another region", SET_REGION],
  IllegalLocationConstraintException: () => ["the bucket is in another region", SET_REGION],
  RequestTimeTooSkewed: () => [
    "its clock and this machine's differ by more than 15 minutes",
    "Set this machine's clock: `timedatectl` shows it.",
  ],
  InvalidObjectState: () => [
    "the backup was moved to an archive class, from which it must be fetched first",
    "Ask for it with `aws s3api restore-object --restore-request Days=3 …`, wait until it is there, then run the same command again.",
  ],
  XMinioStorageFull: () => ["its disk is full", "Free some space there, then run `npx budgie push`."],
  QuotaExceeded: () => ["its quota is used up", "Raise it, then run `npx budgie push`."],
  NotImplemented: () => [
    "it does not know a request that safe copies need (a put that never overwrites)",
    "Use another store, or a newer version of this one.",
  ],
};

const SET_REGION = "Set it: npm run pulumi -- config set budgie:region REGION, then `npm run pulumi -- up`.";

/** The codes of refusals that may pass, whatever their status. */
const MAY_PASS = new Set(["SlowDown", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted"]);

/** A connection that never came about, or that broke. */
const CONNECTION: Record<string, Explanation> = {
  ENOTFOUND: () => [
    "its name is not known",
    "See that budgie:s3Endpoint is right and that this machine has DNS.",
  ],
  EAI_AGAIN: () => ["its name cannot be looked up now", "See that this machine has DNS."],
  ECONNREFUSED: asked => ["nothing listens there", seeToStore(asked)],
  EHOSTUNREACH: () => ["no way leads there", "See to the network between this machine and the store."],
  ENETUNREACH: () => ["no way leads there", "See to the network between this machine and the store."],
  ECONNRESET: asked => ["it cut the connection", seeToStore(asked)],
  EPIPE: asked => ["it cut the connection", seeToStore(asked)],
};

const TLS = /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO$|HOSTNAME_MISMATCH)/;

/** Explains an error between the agent and a store as a Stop. Passes on what is a Stop already. */
export function explainStoreError(error: unknown, asked: Asked): Error {
  if (!(error instanceof Error) || error instanceof Stop) return error as Error;
  const { name, code = "", message, $metadata } = error as StoreError;
  const status = $metadata?.httpStatusCode ?? 0;
  const refusal = own(REFUSALS, name);
  if (refusal) return stop(EXIT.storeRefused, asked, "refused", refusal(asked), name);
  if (status === 429 || status >= 500 || MAY_PASS.has(name)) {
    return stop(EXIT.storeUnreachable, asked, "did not do it", [
      `it answered ${name} (${status || "no status"})${tries($metadata)}`,
      tryLater(asked),
    ]);
  }
  const connection = own(CONNECTION, code);
  if (connection) return stop(EXIT.storeUnreachable, asked, "cannot be reached", connection(asked), code);
  if (name === "TimeoutError") {
    return stop(EXIT.storeUnreachable, asked, "cannot be reached", [
      `it did not answer in time${tries($metadata)}`,
      tryLater(asked),
    ]);
  }
  if (TLS.test(code))
    return stop(
      EXIT.storeUnreachable,
      asked,
      "cannot be reached",
      [
        `its certificate is not accepted: ${message}`,
        "Give it a certificate of a known authority for this very name.",
      ],
      code,
    );
  if (status >= 400)
    return stop(EXIT.storeRefused, asked, "refused", [message || "it did not say why", READ_THE_CODE], name);
  if (status > 0) return notAStore(asked);
  return stop(
    EXIT.storeUnreachable,
    asked,
    "cannot be reached",
    [message, tryLater(asked)],
    code || undefined,
  );
}

/** Something answers there, but not as a store does. */
export function notAStore(asked: Asked): Stop {
  return stop(EXIT.storeRefused, asked, "is no S3 store", [
    "what it answered cannot be understood",
    "See that budgie:s3Endpoint is the address of its S3 API, not of its web page.",
  ]);
}

/** Runs a request. Whatever fails in it is thrown as a Stop. */
export async function asking<T>(store: Asked, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw explainStoreError(error, store);
  }
}

/** A put that never overwrites found its key taken. */
export function isAlreadyThere(error: unknown): boolean {
  const { name, $metadata } = error as StoreError;
  return name === "PreconditionFailed" || $metadata?.httpStatusCode === 412;
}

/** The store no longer knows a multipart upload: it was ended, or it was completed and the answer was lost. */
export function isUploadGone(error: unknown): boolean {
  return (error as StoreError).name === "NoSuchUpload";
}

function tryLater({ role }: Asked): string {
  if (role === "reader") return "Then run the same command again.";
  return "The agent tries again by itself every five minutes; `npx budgie push` tries now.";
}

const READ_THE_CODE = "The store's own documentation says what this code means.";

function stop(
  exit: ExitCode,
  { shown }: Asked,
  what: string,
  [why, next]: [string, string],
  code?: string,
): Stop {
  return new Stop(
    exit,
    `The object store ${shown} ${what}: ${why.replace(/\.$/, "")}${code ? ` (${code})` : ""}.`,
    next,
  );
}

function rightKeys({ kind, role }: Asked): string {
  if (role === "reader") return "Use credentials that are valid and may read this bucket.";
  if (kind === "s3") {
    return "Set the right ones: npm run pulumi -- config set --secret budgie:s3WriterAccessKeyId …, the same for s3WriterSecretAccessKey, then `npm run pulumi -- up`.";
  }
  return "Run `npm run pulumi -- up`, which gives the agent its key anew.";
}

function seeToStore(asked: Asked): string {
  const store =
    asked.kind === "local" ? "`npx budgie start` starts the store's container." : "See that it is up.";
  return `${store} ${tryLater(asked)}`;
}

function tries(metadata: StoreError["$metadata"]): string {
  const attempts = metadata?.attempts ?? 1;
  return attempts > 1 ? `, ${attempts} times` : "";
}

function own<T>(table: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
