import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ObjectStoreSettings } from "../../settings/offsite.ts";
import { profileOf } from "../../settings/store-profile.ts";
import { keyPrefix } from "../../shared/key-prefix.ts";
import type { Place } from "../containers/place.ts";
import type { BucketLook } from "./bucket-look.ts";
import { type BucketPlace, declareSettings } from "./bucket-settings.ts";
import { bucketTags } from "./bucket-tags.ts";
import { type BucketKeys, createUsers } from "./bucket-users.ts";
import type { OffsiteStore } from "./store.ts";

export interface BackupBucketArgs {
  place: Pick<Place, "stack" | "namePrefix">;
  store: Extract<ObjectStoreSettings, { kind: "aws" | "s3" }>;
  /** A bucket that is there already is taken over. */
  bucketLook: BucketLook;
}

/**
 * A bucket for backups in Amazon S3 or in a store that is like it. DANGER: its lifecycle deletes what is too old. The
 * stack never does: `pulumi destroy` leaves the bucket and all its settings, and removes only the keys to it.
 * (`retainOnDelete` takes effect with the `up` that first has it.)
 */
export class BackupBucket extends pulumi.ComponentResource {
  readonly offsite: OffsiteStore;

  constructor(name: string, args: BackupBucketArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:BackupBucket", name, {}, opts);
    const { store, place, bucketLook } = args;
    const on: BucketPlace = {
      name,
      prefix: keyPrefix(place.stack),
      tags: bucketTags(place),
      profile: profileOf(store),
      parent: this,
      provider: new aws.Provider(`${name}-provider`, providerArgs(store, bucketLook), { parent: this }),
    };
    const bucket = createBucket(on, args);
    const settings = declareSettings(on, store, bucket);
    const keys = store.kind === "aws" ? createUsers(on, bucket) : operatorsKeys(store);
    this.offsite = {
      kind: store.kind,
      bucket: store.bucket,
      prefix: on.prefix,
      region: store.region,
      endpoint: store.endpoint,
      pathStyle: store.pathStyle,
      writer: keys.writer,
      reader: keys.reader,
      ready: [bucket, ...settings, ...keys.ready],
    };
    this.registerOutputs({ bucket: bucket.bucket });
  }
}

/**
 * With `aws`, the credentials are those of whoever runs Pulumi, found as every AWS tool finds them. On a machine without
 * any, a preview gets made-up ones. The provider asks nobody to say what it plans, but without credentials it would
 * refuse.
 */
export function providerArgs(
  store: BackupBucketArgs["store"],
  { withoutCredentials }: Pick<BucketLook, "withoutCredentials">,
): aws.ProviderArgs {
  const { region, endpoint, pathStyle: s3UsePathStyle } = store;
  if (store.kind === "aws") {
    return {
      region,
      ...(withoutCredentials ? { accessKey: "preview", secretKey: "preview", ...ASK_NOBODY } : {}),
      ...(endpoint === undefined ? {} : { s3UsePathStyle, endpoints: [awsEndpoints(endpoint)] }),
    };
  }
  return {
    region,
    accessKey: store.operator.accessKeyId,
    secretKey: store.operator.secretAccessKey,
    endpoints: [{ s3: store.endpoint }],
    s3UsePathStyle,
    ...ASK_NOBODY,
  };
}

/** There is no account, no metadata service and no list of regions to ask. */
const ASK_NOBODY = {
  skipCredentialsValidation: true,
  skipMetadataApiCheck: true,
  skipRegionValidation: true,
  skipRequestingAccountId: true,
};

/** A VPC endpoint of Amazon's serves S3 alone; a stand-in for all of AWS serves everything at one address. */
function awsEndpoints(endpoint: string) {
  const ofAmazon = new URL(endpoint).hostname.endsWith(".amazonaws.com");
  return ofAmazon ? { s3: endpoint } : { s3: endpoint, iam: endpoint, sts: endpoint };
}

function createBucket({ name, tags, parent, provider }: BucketPlace, args: BackupBucketArgs): aws.s3.Bucket {
  const { store, bucketLook } = args;
  return new aws.s3.Bucket(
    `${name}-bucket`,
    {
      bucket: store.bucket,
      ...(store.kind === "aws" ? { tags } : {}),
      ...(store.lifecycle.lockDays > 0 ? { objectLockEnabled: true } : {}),
    },
    {
      parent,
      provider,
      retainOnDelete: true,
      // Ignored by the engine once the state has it.
      ...(bucketLook.exists ? { import: store.bucket } : {}),
      // The bucket's owner may add tags. The other inputs would replace the bucket, or are read back unset when it is
      // imported.
      ignoreChanges: ["tags", "tagsAll", "objectLockEnabled", "forceDestroy"],
    },
  );
}

function operatorsKeys({ writer, operator }: Extract<ObjectStoreSettings, { kind: "s3" }>): BucketKeys {
  return { writer: writer ?? operator, reader: operator, ready: [] };
}
