import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { awsRules, expiryIn } from "./bucket-lifecycle.ts";
import { bucketPolicy } from "./bucket-policy.ts";
import type { ObjectStoreSettings } from "./offsite-settings.ts";
import { step } from "./step.ts";
import { type Feature, isDeclared, type StoreProfile } from "./store-profile.ts";

/** What all resources of a bucket have in common. */
export interface BucketPlace {
  name: string;
  /** What the stack's keys begin with, `dev/`. */
  prefix: string;
  tags: Record<string, string>;
  profile: StoreProfile;
  parent: pulumi.Resource;
  provider: aws.Provider;
}

type BucketStore = Extract<ObjectStoreSettings, { kind: "aws" | "s3" }>;

/** The bucket's settings, as far as the store has them. Returns what was declared. */
export function declareSettings(
  on: BucketPlace,
  store: BucketStore,
  bucket: aws.s3.Bucket,
): pulumi.Resource[] {
  const { profile } = on;
  const where = (feature: Feature, declare: () => pulumi.Resource) =>
    isDeclared(profile, feature) ? [declare()] : [];

  const versioning = where("versioning", () => keepVersions(on, bucket));
  const accessBlock = where("publicAccessBlock", () => blockPublicAccess(on, bucket));
  // Amazon refuses two changes of a bucket's access at the same time.
  const ownership = where("ownershipControls", () => switchOffAcls(on, bucket, accessBlock));
  const access = [...accessBlock, ...ownership];
  const tls = store.endpoint === undefined || store.endpoint.startsWith("https:");
  const policy = where("policy", () => attachPolicy(on, bucket, tls, access));
  const encryption = where("encryption", () => encrypt(on, bucket));
  // What it says of old versions means nothing before there are versions.
  const lifecycle = where("lifecycle", () => setLifecycle(on, store, bucket, versioning));
  const { lockDays } = store.lifecycle;
  const lock = lockDays > 0 ? [lockObjects(on, bucket, lockDays, versioning)] : [];
  return [...versioning, ...access, ...policy, ...encryption, ...lifecycle, ...lock];
}

function keepVersions(on: BucketPlace, { bucket }: aws.s3.Bucket): pulumi.Resource {
  const versioningConfiguration = { status: "Enabled" };
  return new aws.s3.BucketVersioning(
    `${on.name}-versioning`,
    { bucket, versioningConfiguration },
    retained(on),
  );
}

function blockPublicAccess(on: BucketPlace, { bucket }: aws.s3.Bucket): pulumi.Resource {
  return new aws.s3.BucketPublicAccessBlock(
    `${on.name}-public-access-block`,
    {
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    retained(on),
  );
}

function switchOffAcls(
  on: BucketPlace,
  { bucket }: aws.s3.Bucket,
  after: pulumi.Resource[],
): pulumi.Resource {
  const rule = { objectOwnership: "BucketOwnerEnforced" };
  return new aws.s3.BucketOwnershipControls(`${on.name}-ownership`, { bucket, rule }, retained(on, after));
}

function attachPolicy(
  on: BucketPlace,
  { bucket, arn }: aws.s3.Bucket,
  tls: boolean,
  after: pulumi.Resource[],
): pulumi.Resource {
  const policy = arn.apply(arn => JSON.stringify(bucketPolicy(arn, on.prefix, tls)));
  return new aws.s3.BucketPolicy(`${on.name}-policy`, { bucket, policy }, retained(on, after));
}

function encrypt(on: BucketPlace, { bucket }: aws.s3.Bucket): pulumi.Resource {
  const rules = [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }];
  return new aws.s3.BucketServerSideEncryptionConfiguration(
    `${on.name}-encryption`,
    { bucket, rules },
    retained(on),
  );
}

function setLifecycle(
  on: BucketPlace,
  store: BucketStore,
  { bucket }: aws.s3.Bucket,
  after: pulumi.Resource[],
): pulumi.Resource {
  const name = `${on.name}-lifecycle`;
  const expiry = expiryIn(on.profile, store.lifecycle);
  if (store.kind === "aws") {
    const rules = awsRules(on.prefix, expiry);
    return new aws.s3.BucketLifecycleConfiguration(name, { bucket, rules }, retained(on, after));
  }
  const { region, endpoint, pathStyle, operator } = store;
  return step(
    name,
    "store-lifecycle",
    { region, endpoint, pathStyle, operator, bucket, prefix: on.prefix, expiry },
    { parent: on.parent, dependsOn: after },
  );
}

function lockObjects(
  on: BucketPlace,
  { bucket }: aws.s3.Bucket,
  days: number,
  after: pulumi.Resource[],
): pulumi.Resource {
  const defaultRetention = { mode: "GOVERNANCE", days };
  return new aws.s3.BucketObjectLockConfiguration(
    `${on.name}-object-lock`,
    { bucket, rule: { defaultRetention } },
    retained(on, after),
  );
}

/** A bucket that outlives the stack keeps its settings, or its backups would be open, or never deleted. */
function retained({ parent, provider }: BucketPlace, dependsOn: pulumi.Resource[] = []) {
  return { parent, provider, retainOnDelete: true, dependsOn };
}
