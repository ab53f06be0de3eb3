import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  type TransitionStorageClass,
} from "@aws-sdk/client-s3";
import { EXIT, Stop } from "./exit-codes.ts";
import type { ObjectStore } from "./object-store.ts";
import { asking } from "./store-errors.ts";

/** What becomes of backups in a bucket, as far as its store can do it. All in days. */
export interface Expiry {
  keepDays: number;
  /** From when a backup was hidden or overwritten; absent for a store without versions. */
  noncurrentDays?: number;
  transition?: { storageClass: TransitionStorageClass; days: number };
  /** After which an upload that never ended is removed; absent for a store that does not know this rule. */
  abandonedUploadDays?: number;
  /** Whether delete markers that hide nothing any more go as well. */
  deleteMarkers: boolean;
}

/**
 * DANGER: this is what deletes backups. Delete markers need a rule of their own: a rule's expiry has either days or them.
 *
 * @param prefix what the stack's keys begin with, `dev/`
 */
export function lifecycleRules(prefix: string, expiry: Expiry): LifecycleRule[] {
  const { keepDays, noncurrentDays, transition, abandonedUploadDays, deleteMarkers } = expiry;
  const common = { Status: "Enabled", Filter: { Prefix: prefix } } as const;
  const backups: LifecycleRule = { ID: "backups", ...common, Expiration: { Days: keepDays } };
  if (noncurrentDays) backups.NoncurrentVersionExpiration = { NoncurrentDays: noncurrentDays };
  if (transition) backups.Transitions = [{ Days: transition.days, StorageClass: transition.storageClass }];
  if (abandonedUploadDays)
    backups.AbortIncompleteMultipartUpload = { DaysAfterInitiation: abandonedUploadDays };
  const markers = { ID: "delete-markers", ...common, Expiration: { ExpiredObjectDeleteMarker: true } };
  return deleteMarkers ? [backups, markers] : [backups];
}

/** Sets the rules and reads them back: some stores drop without a word what they do not know. Throws a Stop. */
export async function setLifecycle(store: ObjectStore, rules: LifecycleRule[]): Promise<void> {
  const { client, bucket: Bucket } = store;
  await asking(store, () =>
    client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: rules } }),
    ),
  );
  const { Rules: read = [] } = await asking(store, () =>
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
  );
  if (essence(read) === essence(rules)) return;
  throw new Stop(
    EXIT.storeRefused,
    `The object store ${store.shown} was told what becomes of old backups, and has other rules now.`,
    "See that budgie:objectStoreProfile, or budgie:objectStoreImage, is right; then `pulumi up`.",
  );
}

/** What two spellings of the same rules have in common: stores fill in and leave out what says nothing. */
function essence(rules: LifecycleRule[]): string {
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
