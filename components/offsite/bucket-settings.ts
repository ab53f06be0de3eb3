import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { ObjectStoreSettings } from "../../settings/offsite.ts";
import { type Feature, isDeclared, type StoreProfile } from "../../settings/store-profile.ts";
import { lifecycleRules } from "../../shared/bucket-lifecycle.ts";
import { step } from "../steps/step.ts";
import { asProviderRule, expiryIn } from "./bucket-lifecycle.ts";
import { bucketPolicy } from "./bucket-policy.ts";

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

/**
 * The bucket's settings, as far as the store has them. Returns what was declared.
 *
 * One after the other: MinIO (`updateAndParse` in its cmd/bucket-metadata-sys.go) reads all settings of a bucket, changes one,
 * and writes all back without a lock, so that two changes at a time may both succeed and leave one. Amazon refuses two
 * changes of a bucket's access at a time. What is said of old versions, in the lifecycle and in the lock, comes after there
 * are versions.
 */
export function declareSettings(
  on: BucketPlace,
  store: BucketStore,
  bucket: aws.s3.Bucket,
): pulumi.Resource[] {
  const declared: pulumi.Resource[] = [];
  const next = (wanted: boolean, declare: (after: pulumi.Resource[]) => pulumi.Resource) => {
    if (wanted) declared.push(declare(declared.slice(-1)));
  };
  const has = (feature: Feature) => isDeclared(on.profile, feature);
  const tls = store.endpoint === undefined || store.endpoint.startsWith("https:");
  const { lockDays } = store.lifecycle;

  if (store.kind === "s3") next(true, after => markAndProbe(on, store, bucket, after));
  next(has("versioning"), after => keepVersions(on, bucket, after));
  next(has("publicAccessBlock"), after => blockPublicAccess(on, bucket, after));
  next(has("ownershipControls"), after => switchOffAcls(on, bucket, after));
  next(has("policy"), after => attachPolicy(on, bucket, tls, after));
  next(has("encryption"), after => encrypt(on, bucket, after));
  next(has("lifecycle"), after => setLifecycle(on, store, bucket, after));
  next(lockDays > 0, after => lockObjects(on, bucket, lockDays, after));
  return declared;
}

/** The AWS provider may ask for tags in a way that only Amazon answers (hashicorp/terraform-provider-aws#46202). */
function markAndProbe(
  on: BucketPlace,
  { region, endpoint, pathStyle, operator, writer = operator }: Extract<BucketStore, { kind: "s3" }>,
  { bucket }: aws.s3.Bucket,
  after: pulumi.Resource[],
): pulumi.Resource {
  const tags = isDeclared(on.profile, "tags") ? on.tags : null;
  return step(
    `${on.name}-ready`,
    "store-ready",
    { region, endpoint, pathStyle, operator, writer, bucket, prefix: on.prefix, tags },
    { parent: on.parent, dependsOn: after },
  );
}

function keepVersions(on: BucketPlace, { bucket }: aws.s3.Bucket, after: pulumi.Resource[]): pulumi.Resource {
  const versioningConfiguration = { status: "Enabled" };
  return new aws.s3.BucketVersioning(
    `${on.name}-versioning`,
    { bucket, versioningConfiguration },
    retained(on, after),
  );
}

function blockPublicAccess(
  on: BucketPlace,
  { bucket }: aws.s3.Bucket,
  after: pulumi.Resource[],
): pulumi.Resource {
  return new aws.s3.BucketPublicAccessBlock(
    `${on.name}-public-access-block`,
    {
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    retained(on, after),
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

function encrypt(on: BucketPlace, { bucket }: aws.s3.Bucket, after: pulumi.Resource[]): pulumi.Resource {
  const rules = [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }];
  return new aws.s3.BucketServerSideEncryptionConfiguration(
    `${on.name}-encryption`,
    { bucket, rules },
    retained(on, after),
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
    const rules = lifecycleRules(on.prefix, expiry).map(asProviderRule);
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
function retained({ parent, provider }: BucketPlace, dependsOn: pulumi.Resource[]) {
  return { parent, provider, retainOnDelete: true, dependsOn };
}
