import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectsCommand,
  GetBucketTaggingCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
} from "@aws-sdk/client-s3";
import type { Properties } from "../provider.ts";
import type { Connection } from "./connection.ts";
import { codeOf, unless } from "./errors.ts";
import type { Kind } from "./kind.ts";

/** What stores other than AWS answer for what they do not have. */
const NOT_HAD = ["NotImplemented", "MethodNotAllowed", "HTTP 501", "HTTP 405"];

export const bucket: Kind = {
  type: "aws:s3/bucket:Bucket",
  fields: {
    bucket: { is: "text", replaces: true },
    objectLockEnabled: { is: "flag", default: false, replaces: true },
    forceDestroy: { is: "flag", default: false, local: true },
    tags: { is: "tags" },
  },
  unsupported: [
    "accelerationStatus",
    "acl",
    "bucketNamespace",
    "bucketPrefix",
    "corsRules",
    "grants",
    "lifecycleRules",
    "logging",
    "objectLockConfiguration",
    "policy",
    "region",
    "replicationConfiguration",
    "requestPayer",
    "serverSideEncryptionConfiguration",
    "versioning",
    "website",
  ],
  named: { property: "bucket", lowerCase: true },
  outputs: ["arn", "bucketDomainName", "bucketRegionalDomainName", "bucketRegion", "region"],

  create: async (at, inputs) => {
    const name = inputs.bucket as string;
    await refuseExisting(at, name);
    const elsewhere = at.region !== "us-east-1";
    const LocationConstraint = at.region as BucketLocationConstraint;
    await at.s3.send(
      new CreateBucketCommand({
        Bucket: name,
        ...(inputs.objectLockEnabled === true ? { ObjectLockEnabledForBucket: true } : {}),
        ...(elsewhere ? { CreateBucketConfiguration: { LocationConstraint } } : {}),
      }),
    );
    try {
      await setTags(at, name, inputs.tags);
    } catch (error) {
      // Else the next run would find a bucket that nobody knows of. It is empty, or this is refused.
      await at.s3.send(new DeleteBucketCommand({ Bucket: name }));
      throw error;
    }
    return { id: name, outputs: outputs(at, name) };
  },

  read: async (at, id) => {
    if (!(await unless(["NoSuchBucket", "HTTP 404"], at.s3.send(new HeadBucketCommand({ Bucket: id }))))) {
      return undefined;
    }
    const [objectLockEnabled, tags] = await Promise.all([hasObjectLock(at, id), readTags(at, id)]);
    return { inputs: { bucket: id, objectLockEnabled, tags }, outputs: outputs(at, id) };
  },

  update: (at, id, news) => setTags(at, id, news.tags, true),

  /** With `forceDestroy`, deletes every object and every version of it. */
  remove: async (at, id, state) => {
    if (state.forceDestroy === true) await deleteObjects(at, id, state.objectLockEnabled === true);
    await unless(["NoSuchBucket"], at.s3.send(new DeleteBucketCommand({ Bucket: id })));
  },
};

/** In us-east-1, making a bucket that one has already succeeds; it would be adopted without a word. */
async function refuseExisting(at: Connection, name: string): Promise<void> {
  try {
    await at.s3.send(new HeadBucketCommand({ Bucket: name }));
  } catch (error) {
    if (codeOf(error) === "HTTP 404" || codeOf(error) === "NoSuchBucket") return;
    if (codeOf(error) === "HTTP 403") {
      throw new Error(`BucketAlreadyExists: ${name} is there, and it is not yours to see`);
    }
    throw error;
  }
  throw new Error(
    `BucketAlreadyOwnedByYou: ${name} is there already. Import it (the resource option import: "${name}") or choose another name`,
  );
}

function outputs(at: Connection, name: string): Properties {
  return {
    arn: `arn:aws:s3:::${name}`,
    bucketDomainName: `${name}.s3.amazonaws.com`,
    bucketRegionalDomainName: `${name}.s3.${at.region}.amazonaws.com`,
    bucketRegion: at.region,
    region: at.region,
  };
}

async function hasObjectLock(at: Connection, name: string): Promise<boolean> {
  const none = ["ObjectLockConfigurationNotFoundError", "NoSuchBucket", ...NOT_HAD];
  const answer = await unless(none, at.s3.send(new GetObjectLockConfigurationCommand({ Bucket: name })));
  return answer?.ObjectLockConfiguration?.ObjectLockEnabled === "Enabled";
}

async function readTags(at: Connection, name: string): Promise<Record<string, string>> {
  const none = ["NoSuchTagSet", "NoSuchBucket", ...NOT_HAD];
  const answer = await unless(none, at.s3.send(new GetBucketTaggingCommand({ Bucket: name })));
  return Object.fromEntries((answer?.TagSet ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
}

async function setTags(at: Connection, name: string, tags: unknown, had = false): Promise<void> {
  const TagSet = Object.entries((tags ?? {}) as Record<string, string>).map(([Key, Value]) => ({
    Key,
    Value,
  }));
  if (TagSet.length > 0) {
    await at.s3.send(new PutBucketTaggingCommand({ Bucket: name, Tagging: { TagSet } }));
  } else if (had) {
    await unless(NOT_HAD, at.s3.send(new DeleteBucketTaggingCommand({ Bucket: name })));
  }
}

async function deleteObjects(at: Connection, name: string, locked: boolean): Promise<void> {
  for (;;) {
    const page = await unless(["NoSuchBucket"], at.s3.send(new ListObjectVersionsCommand({ Bucket: name })));
    const found = [...(page?.Versions ?? []), ...(page?.DeleteMarkers ?? [])];
    if (found.length === 0) return;
    const answer = await at.s3.send(
      new DeleteObjectsCommand({
        Bucket: name,
        Delete: { Objects: found.map(({ Key, VersionId }) => ({ Key, VersionId })), Quiet: true },
        ...(locked ? { BypassGovernanceRetention: true } : {}),
      }),
    );
    const [failure] = answer.Errors ?? [];
    if (failure) throw new Error(`${failure.Code} for ${failure.Key}: ${failure.Message}`);
  }
}
