import {
  GetBucketTaggingCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";

/** What can be seen of a bucket from outside, before anything is done to it. */
export type Seen =
  | { as: "absent" }
  /** It could not be asked. */
  | { as: "unknown"; why: string; withoutCredentials?: true }
  /** It is there, and these credentials may not look at it. */
  | { as: "forbidden" }
  | { as: "elsewhere"; region: string | undefined }
  | { as: "tagged"; tags: Record<string, string> }
  /** By the keys of its first thousand objects, in a store without tags. */
  | { as: "listed"; keys: string[]; more: boolean };

/** What is known of the bucket before it is declared. */
export interface BucketLook {
  /** Whether it is there already; it is this stack's then. */
  exists: boolean;
  /** Whether there were no credentials to look with. Only ever in a preview: an update is refused without. */
  withoutCredentials: boolean;
}

/** What the client throws, in the parts that matter here. */
interface StoreError extends Error {
  code?: string;
  /** The bucket's, where the store says it. */
  Region?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

const ANSWER_WITHIN_MS = 10_000;
const CONNECT_WITHIN_MS = 5_000;

const OTHER_REGION = ["PermanentRedirect", "AuthorizationHeaderMalformed", "301"];
const WRONG_KEYS: Record<string, string> = {
  InvalidAccessKeyId: "it does not know the access key",
  SignatureDoesNotMatch: "the secret key does not fit the access key",
  ExpiredToken: "the credentials have expired",
  InvalidToken: "the session token is not valid",
};

/** A client that ends: it is asked while the operator waits. Without credentials it uses those of whoever runs it. */
export function lookingClient(config: S3ClientConfig): S3Client {
  return new S3Client({
    ...config,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: CONNECT_WITHIN_MS, requestTimeout: ANSWER_WITHIN_MS },
  });
}

/** Looks, and changes nothing. Never throws. */
export async function lookAtBucket(client: S3Client, bucket: string, hasTags: boolean): Promise<Seen> {
  try {
    if (!(await isThere(client, bucket))) return { as: "absent" };
    return hasTags ? await tagsOf(client, bucket) : await keysOf(client, bucket);
  } catch (error) {
    return meaningOf(error as StoreError);
  }
}

/** An answer to HEAD has no text, so whatever it is refused for is asked again in a way that tells. */
async function isThere(client: S3Client, Bucket: string): Promise<boolean> {
  try {
    await client.send(new HeadBucketCommand({ Bucket }));
    return true;
  } catch (error) {
    const status = (error as StoreError).$metadata?.httpStatusCode;
    if (status === undefined || status >= 500) throw error;
    return status !== 404;
  }
}

async function tagsOf(client: S3Client, Bucket: string): Promise<Seen> {
  try {
    const { TagSet = [] } = await client.send(new GetBucketTaggingCommand({ Bucket }));
    return {
      as: "tagged",
      tags: Object.fromEntries(TagSet.map(({ Key = "", Value = "" }) => [Key, Value])),
    };
  } catch (error) {
    if ((error as Error).name === "NoSuchTagSet") return { as: "tagged", tags: {} };
    throw error;
  }
}

async function keysOf(client: S3Client, Bucket: string): Promise<Seen> {
  const { Contents = [], IsTruncated = false } = await client.send(new ListObjectsV2Command({ Bucket }));
  return { as: "listed", keys: Contents.map(({ Key = "" }) => Key), more: IsTruncated };
}

function meaningOf(error: StoreError): Seen {
  const { name, message, code } = error;
  const status = error.$metadata?.httpStatusCode;
  const region = error.Region ?? error.$response?.headers?.["x-amz-bucket-region"];
  if (name === "NoSuchBucket" || status === 404) return { as: "absent" };
  if (OTHER_REGION.includes(name) || status === 301) return { as: "elsewhere", region };
  const wrongKeys = Object.hasOwn(WRONG_KEYS, name) ? WRONG_KEYS[name] : undefined;
  if (wrongKeys) return { as: "unknown", why: `${wrongKeys} (${name})` };
  if (status === 403) return { as: "forbidden" };
  if (name === "CredentialsProviderError")
    return { as: "unknown", why: "no AWS credentials were found", withoutCredentials: true };
  if (status !== undefined) return { as: "unknown", why: `it answers ${name} (${status})` };
  return { as: "unknown", why: `it does not answer (${code ?? (name === "TimeoutError" ? name : message)})` };
}
