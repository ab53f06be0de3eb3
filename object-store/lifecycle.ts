import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  type LifecycleRule as StoreRule,
} from "@aws-sdk/client-s3";
import type { LifecycleRule } from "../shared/bucket-lifecycle.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import type { ObjectStore } from "./client.ts";
import { asking } from "./errors.ts";

/** Sets the rules and reads them back: some stores silently drop what they do not know. Throws a Stop. */
export async function setLifecycle(store: ObjectStore, rules: LifecycleRule[]): Promise<void> {
  const { client, bucket: Bucket } = store;
  const Rules = rules.map(asStoreRule);
  await asking(store, () =>
    client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } })),
  );
  const { Rules: read = [] } = await asking(store, () =>
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
  );
  if (essence(read) === essence(Rules)) return;
  throw new Stop(
    EXIT.storeRefused,
    `The object store ${store.shown} was told what becomes of old backups, and has other rules now.`,
    "See that budgie:objectStoreProfile, or budgie:objectStoreImage, is right; then `npm run pulumi -- up`.",
  );
}

/** As the S3 client wants it written. */
function asStoreRule(rule: LifecycleRule): StoreRule {
  const { id, prefix, expires, noncurrentDays, transition, abandonedUploadDays } = rule;
  return {
    ID: id,
    Status: "Enabled",
    Filter: { Prefix: prefix },
    Expiration: expires === "delete markers" ? { ExpiredObjectDeleteMarker: true } : { Days: expires.days },
    ...(noncurrentDays ? { NoncurrentVersionExpiration: { NoncurrentDays: noncurrentDays } } : {}),
    ...(transition
      ? { Transitions: [{ Days: transition.days, StorageClass: transition.storageClass }] }
      : {}),
    ...(abandonedUploadDays
      ? { AbortIncompleteMultipartUpload: { DaysAfterInitiation: abandonedUploadDays } }
      : {}),
  };
}

/** What two spellings of the same rules have in common: stores add and leave out fields that say nothing. */
function essence(rules: StoreRule[]): string {
  return rules
    .map(rule =>
      JSON.stringify([
        rule.ID,
        rule.Status,
        rule.Filter?.Prefix,
        rule.Expiration?.Days,
        rule.Expiration?.ExpiredObjectDeleteMarker ?? false,
        rule.NoncurrentVersionExpiration?.NoncurrentDays,
        rule.Transitions?.map(({ Days, StorageClass }) => [Days, StorageClass]) ?? [],
        rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation,
      ]),
    )
    .sort()
    .join("\n");
}
