import type { BucketArgs } from "@pulumi/aws/s3/bucket.js";
import type { BucketAclArgs } from "@pulumi/aws/s3/bucketAcl.js";
import type { BucketLifecycleConfigurationArgs } from "@pulumi/aws/s3/bucketLifecycleConfiguration.js";
import type { BucketPolicyArgs } from "@pulumi/aws/s3/bucketPolicy.js";
import type { BucketPublicAccessBlockArgs } from "@pulumi/aws/s3/bucketPublicAccessBlock.js";
import type { BucketServerSideEncryptionConfigurationArgs } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js";
import type { BucketVersioningArgs } from "@pulumi/aws/s3/bucketVersioning.js";
import type { ResourceValidationPolicy, StackValidationPolicy } from "@pulumi/policy";
import { BUCKET, besideEachBucket } from "./bucket-part.ts";
import { ofType } from "./resource-of-type.ts";

export const bucketIsNeverEmptied: ResourceValidationPolicy = {
  name: "bucket-is-never-emptied",
  description: "Pulumi never deletes what is in a bucket.",
  severity: "critical",
  validateResource: ofType<BucketArgs>(BUCKET, (bucket, { name }, report) => {
    if (!bucket.forceDestroy) return;
    report(
      `The bucket ${name} has forceDestroy: a \`pulumi destroy\`, or a change of its name, would delete every backup in it. ` +
        "Type: forceDestroy: false",
    );
  }),
};

export const bucketIsNotShared: ResourceValidationPolicy = {
  name: "bucket-is-not-shared",
  description: "Neither an access list nor a policy opens a bucket to everyone.",
  severity: "critical",
  validateResource: [
    ofType<BucketArgs>(BUCKET, (bucket, { name }, report) => {
      if (bucket.acl && bucket.acl !== "private") report(shared(name, `its access list is ${bucket.acl}`));
    }),
    ofType<BucketAclArgs>("aws:s3/bucketAcl:BucketAcl", ({ acl }, { name }, report) => {
      if (acl && acl !== "private") report(shared(name, `its access list is ${acl}`));
    }),
    ofType<BucketPolicyArgs>("aws:s3/bucketPolicy:BucketPolicy", ({ policy }, { name }, report) => {
      if (allowsEveryone(policy)) report(shared(name, "its policy allows something to everyone"));
    }),
  ],
};

function shared(name: string, how: string): string {
  return (
    `${name} opens the bucket (${how}), and in it are whole copies of the ledger and of everyone's password hashes. ` +
    'Type: Effect: "Deny" beside Principal: "*", and no acl'
  );
}

interface Statement {
  Effect?: string;
  Principal?: string | Record<string, string | string[]>;
}

function allowsEveryone(policy: unknown): boolean {
  const document = (typeof policy === "string" ? JSON.parse(policy) : policy) as {
    Statement?: Statement | Statement[];
  };
  return [document.Statement ?? []].flat().some(({ Effect, Principal }) => {
    if (Effect !== "Allow" || Principal === undefined) return false;
    const who = typeof Principal === "string" ? [Principal] : Object.values(Principal).flat();
    return who.includes("*");
  });
}

export const bucketIsPrivate: StackValidationPolicy = besideEachBucket<BucketPublicAccessBlockArgs>({
  name: "bucket-is-private",
  description: "Every bucket refuses to be opened to the public.",
  severity: "critical",
  type: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  holds: block =>
    Boolean(
      block.blockPublicAcls &&
        block.blockPublicPolicy &&
        block.ignorePublicAcls &&
        block.restrictPublicBuckets,
    ),
  why: "one wrong click in the console would publish the ledger",
  fix: "blockPublicAcls, blockPublicPolicy, ignorePublicAcls and restrictPublicBuckets: true",
});

export const bucketIsVersioned: StackValidationPolicy = besideEachBucket<BucketVersioningArgs>({
  name: "bucket-is-versioned",
  description: "Every bucket keeps what was overwritten or deleted.",
  severity: "high",
  type: "aws:s3/bucketVersioning:BucketVersioning",
  holds: ({ versioningConfiguration }) => versioningConfiguration.status === "Enabled",
  why: "a backup that is overwritten or deleted would be gone at once",
  fix: 'versioningConfiguration: { status: "Enabled" }',
});

export const bucketIsEncrypted: StackValidationPolicy =
  besideEachBucket<BucketServerSideEncryptionConfigurationArgs>({
    name: "bucket-is-encrypted",
    description: "Every bucket encrypts what is put into it.",
    severity: "medium",
    type: "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    holds: ({ rules }) => rules.some(rule => rule.applyServerSideEncryptionByDefault?.sseAlgorithm),
    why: "the backups would lie in plain text on the store's disks",
    fix: 'rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }]',
  });

export const bucketHasALifecycle: StackValidationPolicy = besideEachBucket<BucketLifecycleConfigurationArgs>({
  name: "bucket-has-a-lifecycle",
  description: "Every bucket removes old backups by itself.",
  severity: "medium",
  type: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  holds: ({ rules }) => rules?.some(rule => rule.status === "Enabled" && rule.expiration?.days) ?? false,
  why: "the agent may not delete anything there, so the bucket, and its bill, would grow without end",
  fix: "a rule with status Enabled and an expiration; npm run pulumi -- config set budgie:offsiteKeepDays 90",
});
