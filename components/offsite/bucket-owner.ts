import * as pulumi from "@pulumi/pulumi";
import type { Credentials, ObjectStoreSettings } from "../../settings/offsite.ts";
import { isDeclared, profileOf } from "../../settings/store-profile.ts";
import { keyPrefix } from "../../shared/key-prefix.ts";
import { shellWord } from "../../shared/shell-word.ts";
import type { Place } from "../containers/place.ts";
import type { Seen } from "./bucket-look.ts";
import { bucketTags } from "./bucket-tags.ts";

type Store = Extract<ObjectStoreSettings, { kind: "aws" | "s3" }>;
type Stack = Pick<Place, "stack" | "namePrefix">;

/** `unsure`: nothing is known, so an update must not go on. `refused`: it is known, and it is not this stack's. */
export type Ownership =
  | { is: "absent" }
  | { is: "own"; note?: string }
  | { is: "unsure"; problem: string; withoutCredentials: boolean }
  | { is: "refused"; problem: string };

/**
 * Whose bucket it is that the settings name, as seen with the operator's own credentials. The client is loaded here,
 * because a stack with a local store has no use for it.
 */
export async function bucketOwnership(store: Store, stack: Stack): Promise<Ownership> {
  // It would advise on the Node version, in the middle of the preview.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  const { lookAtBucket, lookingClient } = await import("./bucket-look.ts");
  const client = lookingClient({
    region: store.region,
    forcePathStyle: store.pathStyle,
    ...(store.endpoint === undefined ? {} : { endpoint: store.endpoint }),
    ...(store.kind === "s3" ? { credentials: await plain(store.operator) } : {}),
  });
  return ownershipOf(
    await lookAtBucket(client, store.bucket, isDeclared(profileOf(store), "tags")),
    store,
    stack,
  );
}

/** What follows from what was seen. */
export function ownershipOf(seen: Seen, store: Store, stack: Stack): Ownership {
  const { bucket } = store;
  switch (seen.as) {
    case "absent":
      return { is: "absent" };
    case "unknown":
      return {
        is: "unsure",
        problem: cannotBeAsked(store, seen.why),
        withoutCredentials: seen.withoutCredentials ?? false,
      };
    case "forbidden":
      return refused(
        `The bucket ${bucket} is there, and your credentials may not look at it: it is most likely another account's.`,
        [anotherBucket(stack)],
      );
    case "elsewhere":
      return refused(
        `The bucket ${bucket} is there, but not in the region ${store.region}${seen.region ? `: it is in ${seen.region}` : ""}.`,
        [
          `npm run pulumi -- config set budgie:region ${seen.region ?? "REGION"}     # if it is this stack's`,
          anotherBucket(stack),
        ],
      );
    case "tagged":
      return byTags(seen.tags, store, stack);
    case "listed":
      return byKeys(seen, store, stack);
  }
}

function byTags(tags: Record<string, string>, store: Store, stack: Stack): Ownership {
  const wanted = bucketTags(stack);
  if (Object.entries(wanted).every(([key, value]) => tags[key] === value)) return { is: "own" };
  const { "budgie:stack": other, "budgie:prefix": prefix } = tags;
  const whose =
    other === undefined
      ? "and nothing says that it is this stack's"
      : `and its tags say that it is the stack ${other}'s with the name prefix ${prefix}`;
  return refused(`The bucket ${store.bucket} is there, ${whose}.`, [
    anotherBucket(stack),
    `${handOver(store, { ...tags, ...wanted })}     # if it is to be this stack's from now on`,
  ]);
}

/** Without tags, the objects must do: an empty bucket, or one with this stack's backups alone. */
function byKeys({ keys, more }: Extract<Seen, { as: "listed" }>, store: Store, stack: Stack): Ownership {
  const prefix = keyPrefix(stack.stack);
  const foreign = keys.find(key => !key.startsWith(prefix));
  if (foreign !== undefined) {
    return refused(
      `The bucket ${store.bucket} is there and holds ${JSON.stringify(foreign)}, which is not under ${prefix}: it is not this stack's alone.`,
      [anotherBucket(stack)],
    );
  }
  const note = `Whether the bucket ${store.bucket} is this stack's was told by its first ${keys.length} objects.`;
  return { is: "own", ...(more ? { note } : {}) };
}

function refused(what: string, ways: string[]): Ownership {
  const type = ways.map(way => `  ${way}`);
  return { is: "refused", problem: [`${what} Nothing was changed.`, ...type].join("\n") };
}

function cannotBeAsked({ kind, bucket, endpoint }: Store, why: string): string {
  const where = endpoint ?? "Amazon S3";
  return [
    `Whose the bucket ${bucket} at ${where} is cannot be told: ${why}.`,
    kind === "aws"
      ? "  aws sts get-caller-identity     # says whether your AWS credentials work; AWS_PROFILE chooses others"
      : "  npm run pulumi -- config set --secret budgie:s3AccessKeyId     # and s3SecretAccessKey, if they are not right",
  ].join("\n");
}

function anotherBucket({ stack, namePrefix }: Stack): string {
  const own = `${namePrefix}-${stack}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const name = `${own.slice(0, 50)}-backups`;
  return `npm run pulumi -- config set budgie:bucket ${name}     # another one; the name must be nobody else's in the world`;
}

/** Replaces all tags, so those that are there are among them. */
function handOver({ bucket, endpoint }: Store, tags: Record<string, string>): string {
  const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const at = endpoint === undefined ? "" : ` --endpoint-url ${endpoint}`;
  return `aws s3api put-bucket-tagging --bucket ${bucket}${at} --tagging ${shellWord(JSON.stringify({ TagSet }))}`;
}

/** The only place where a secret setting is read by the program itself. */
function plain(keys: Credentials) {
  return new Promise<{ accessKeyId: string; secretAccessKey: string }>(resolve => {
    pulumi
      .all([keys.accessKeyId, keys.secretAccessKey])
      .apply(([accessKeyId, secretAccessKey]) => resolve({ accessKeyId, secretAccessKey }));
  });
}
