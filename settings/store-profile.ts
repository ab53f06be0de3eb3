import type { StorageClass } from "../shared/bucket-lifecycle.ts";
import type { ProfileName } from "./offsite.ts";

/** What a bucket, or the store that it is in, can be asked to do for backups. */
export type Feature =
  | "versioning"
  | "publicAccessBlock"
  | "ownershipControls"
  | "encryption"
  | "policy"
  | "lifecycle"
  | "deleteMarkerRule"
  | "abandonedUploadRule"
  | "objectLock"
  | "tags"
  | "conditionalPuts"
  | "putOnlyKeys";

/**
 * `declared`: the stack asks for it. `given`: it is so without asking, or what it guards against is not there. Otherwise
 * the sentence that says what is not there and what follows from it.
 */
export type Support = "declared" | "given" | { lacks: string };

/** What one kind of store can do. Every feature has an entry, and a sentence where the store does not have it. */
export interface StoreProfile {
  name: ProfileName | "aws";
  /** As its operators call it. */
  title: string;
  features: Readonly<Record<Feature, Support>>;
  transitions: readonly StorageClass[];
}

const NO_VERSIONS = {
  lacks: "The object store keeps no versions: a backup that is overwritten or deleted there is gone at once.",
};
const NO_ACCESS_BLOCK = {
  lacks:
    "The object store has no public access block: nothing stops a mistake from making the bucket public.",
};
const NO_POLICY = {
  lacks:
    "The object store takes no rule that refuses overwriting: who takes over the backup agent's key can overwrite backups there.",
};
const NO_TAGS = {
  lacks:
    "The object store's buckets have no tags: whether a bucket is this stack's is told by the names of what is in it.",
};
const NO_LOCK = { lacks: "The object store has no object lock." };
const NO_PUT_ONLY_KEYS = {
  lacks:
    "The object store's keys cannot be limited to adding: who takes over the backup agent's key can delete backups there.",
};
const NO_ENCRYPTION = { lacks: "The object store is not asked to encrypt what it keeps." };
/** Versions or not, nothing is left behind by an expiry there. */
const NO_MARKERS = "given";

/** Everything, and the rule of its own that only Amazon takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html */
const aws: StoreProfile = {
  name: "aws",
  title: "Amazon S3",
  features: {
    versioning: "declared",
    publicAccessBlock: "declared",
    ownershipControls: "declared",
    encryption: "declared",
    policy: "declared",
    lifecycle: "declared",
    deleteMarkerRule: "declared",
    abandonedUploadRule: "declared",
    objectLock: "declared",
    tags: "declared",
    conditionalPuts: "given",
    putOnlyKeys: "declared",
  },
  transitions: ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"],
};

/**
 * Tried on a server of 2026-02: no public access block, no ownership controls (and no ACLs that they would switch off),
 * encryption only with a KMS key of the server's; drops the rule for abandoned uploads without a word, and removes them
 * itself after a day; policies know no `s3:if-none-match`, and never bind the root.
 * https://docs.min.io/community/minio-object-store/reference/s3-api-compatibility.html
 */
const minio: StoreProfile = {
  name: "minio",
  title: "MinIO",
  features: {
    versioning: "declared",
    publicAccessBlock: NO_ACCESS_BLOCK,
    ownershipControls: "given",
    encryption: NO_ENCRYPTION,
    policy: NO_POLICY,
    lifecycle: "declared",
    deleteMarkerRule: "declared",
    abandonedUploadRule: "given",
    objectLock: "declared",
    tags: "declared",
    conditionalPuts: "given",
    putOnlyKeys: "given",
  },
  transitions: [],
};

/**
 * No ACLs, policies, versions, tags, nor lock over S3; encrypts everything by itself.
 * https://developers.cloudflare.com/r2/api/s3/api/ (calls and checksums), …/r2/api/s3/conditional-operations/,
 * …/r2/api/tokens/ (a key reads and writes, or only reads), …/r2/reference/data-security/
 */
const r2: StoreProfile = {
  name: "r2",
  title: "Cloudflare R2",
  features: {
    versioning: NO_VERSIONS,
    publicAccessBlock: NO_ACCESS_BLOCK,
    ownershipControls: "given",
    encryption: "given",
    policy: NO_POLICY,
    lifecycle: "declared",
    deleteMarkerRule: NO_MARKERS,
    abandonedUploadRule: "declared",
    objectLock: NO_LOCK,
    tags: NO_TAGS,
    conditionalPuts: "given",
    putOnlyKeys: NO_PUT_ONLY_KEYS,
  },
  transitions: ["STANDARD_IA"],
};

/**
 * Always keeps versions; two lifecycle rules may not overlap, so expired delete markers get none.
 * https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api (calls),
 * https://www.backblaze.com/apidocs/s3-put-lifecycle-configuration, https://www.backblaze.com/apidocs/s3-put-object (no
 * If-None-Match among its headers; refused as not implemented, says github.com/sathinduga/obsidian-s3-sync-and-backup#78),
 * https://www.backblaze.com/docs/cloud-storage-application-key-capabilities (writeFiles without deleteFiles)
 */
const b2: StoreProfile = {
  name: "b2",
  title: "Backblaze B2",
  features: {
    versioning: "given",
    publicAccessBlock: NO_ACCESS_BLOCK,
    ownershipControls: "given",
    encryption: "declared",
    policy: NO_POLICY,
    lifecycle: "declared",
    deleteMarkerRule: { lacks: "Markers of expired backups stay in the bucket; they hold no data." },
    abandonedUploadRule: "declared",
    objectLock: "declared",
    tags: NO_TAGS,
    conditionalPuts: {
      lacks:
        "The object store is not known to take a put that must not overwrite, without which the agent sends nothing: `npx budgie push` tells.",
    },
    putOnlyKeys: "given",
  },
  transitions: [],
};

/**
 * Expiry and incomplete uploads are all that its lifecycle knows; rights are per key and bucket, set on its own command line.
 * https://garagehq.deuxfleurs.fr/documentation/reference-manual/s3-compatibility/
 */
const garage: StoreProfile = {
  name: "garage",
  title: "Garage",
  features: {
    versioning: NO_VERSIONS,
    publicAccessBlock: NO_ACCESS_BLOCK,
    ownershipControls: "given",
    encryption: NO_ENCRYPTION,
    policy: NO_POLICY,
    lifecycle: "declared",
    deleteMarkerRule: NO_MARKERS,
    abandonedUploadRule: "declared",
    objectLock: NO_LOCK,
    tags: NO_TAGS,
    conditionalPuts: {
      lacks:
        "The object store is not documented to refuse a put that must not overwrite: two different backups never share a name anyway.",
    },
    putOnlyKeys: NO_PUT_ONLY_KEYS,
  },
  transitions: [],
};

/** Nothing is known of it. What is declared here is what nearly every store has and no backup should be without. */
const unknown: StoreProfile = {
  name: "s3",
  title: "an S3-compatible store",
  features: {
    versioning: "declared",
    publicAccessBlock: NO_ACCESS_BLOCK,
    ownershipControls: {
      lacks:
        "What the object store can do beyond versions and expiry is not known, so nothing more is declared: name it with budgie:objectStoreProfile if you can.",
    },
    encryption: NO_ENCRYPTION,
    policy: NO_POLICY,
    lifecycle: "declared",
    deleteMarkerRule: "declared",
    abandonedUploadRule: {
      lacks: "Uploads that were given up stay in the bucket until the object store removes them itself.",
    },
    objectLock: "declared",
    tags: NO_TAGS,
    conditionalPuts: "given",
    putOnlyKeys: "given",
  },
  transitions: aws.transitions,
};

export const PROFILES: Readonly<Record<ProfileName | "aws", StoreProfile>> = {
  aws,
  minio,
  r2,
  b2,
  garage,
  s3: unknown,
};

/** By what the operator said, else by the endpoint's name. */
export function profileOf(
  store: { kind: "aws" } | { kind: "s3"; profile: ProfileName | undefined; endpoint: string },
): StoreProfile {
  if (store.kind === "aws") return PROFILES.aws;
  return PROFILES[store.profile ?? profileByName(store.endpoint)];
}

export function profileByName(endpoint: string): ProfileName {
  const { hostname } = new URL(endpoint);
  if (hostname.endsWith(".r2.cloudflarestorage.com")) return "r2";
  if (hostname.endsWith(".backblazeb2.com")) return "b2";
  const labels = hostname.split(/[.-]/);
  return (["minio", "garage"] as const).find(name => labels.includes(name)) ?? "s3";
}

export function isDeclared(profile: StoreProfile, feature: Feature): boolean {
  return profile.features[feature] === "declared";
}
