import {
  CreateBucketCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type ObjectLockConfiguration,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import { lifecycleRules, setLifecycle } from "./bucket-lifecycle.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { LocalStoreWanted } from "./local-store.ts";
import type { ObjectStore } from "./object-store.ts";
import { asking } from "./store-errors.ts";

type BucketWanted = Pick<LocalStoreWanted, "keepDays" | "noncurrentDays" | "lockDays">;

/**
 * Makes the bucket where it is missing, and sets and reads back versioning, object lock and lifecycle. Deletes nothing;
 * what the lifecycle says will be deleted by the store when its time has come. Throws a Stop.
 */
export async function setUpBucket(store: ObjectStore, wanted: BucketWanted): Promise<void> {
  await createBucket(store, wanted.lockDays > 0);
  await keepVersions(store);
  await setLock(store, wanted.lockDays);
  // Uploads that were given up are not in it: this line of servers drops that rule without a word, and removes them itself
  // after a day.
  const expiry = { keepDays: wanted.keepDays, noncurrentDays: wanted.noncurrentDays, deleteMarkers: true };
  await setLifecycle(store, lifecycleRules(store.prefix, expiry));
}

async function createBucket({ client, bucket, ...store }: ObjectStore, withLock: boolean): Promise<void> {
  await asking({ bucket, ...store }, async () => {
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: withLock }));
    } catch (error) {
      if ((error as Error).name !== "BucketAlreadyOwnedByYou") throw error;
    }
  });
}

async function keepVersions(store: ObjectStore): Promise<void> {
  const { client, bucket: Bucket } = store;
  const versioning = () => asking(store, () => client.send(new GetBucketVersioningCommand({ Bucket })));
  if ((await versioning()).Status === "Enabled") return;
  await asking(store, () =>
    client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } })),
  );
  if ((await versioning()).Status !== "Enabled") throw notTaken(store, "versioning");
}

async function setLock(store: ObjectStore, lockDays: number): Promise<void> {
  const lock = await lockOf(store);
  if (lock === undefined && lockDays === 0) return;
  if (lock === undefined) {
    throw new Stop(
      EXIT.storeRefused,
      `budgie:objectLockDays is ${lockDays}, but the bucket ${store.bucket} was made without object lock and cannot get it any more.`,
      "Let the stack make another one: pulumi config set budgie:bucket budgie-locked-backups; or: pulumi config set budgie:objectLockDays 0",
    );
  }
  if (lock === lockDays) return;
  const ObjectLockConfiguration: ObjectLockConfiguration = { ObjectLockEnabled: "Enabled" };
  if (lockDays > 0) {
    ObjectLockConfiguration.Rule = { DefaultRetention: { Mode: "GOVERNANCE", Days: lockDays } };
  }
  await asking(store, () =>
    store.client.send(
      new PutObjectLockConfigurationCommand({ Bucket: store.bucket, ObjectLockConfiguration }),
    ),
  );
  if ((await lockOf(store)) !== lockDays) throw notTaken(store, "the object lock");
}

/** In days; 0 for a bucket that could lock and does not, undefined for one that cannot. */
async function lockOf(store: ObjectStore): Promise<number | undefined> {
  return asking(store, async () => {
    try {
      const { ObjectLockConfiguration: lock } = await store.client.send(
        new GetObjectLockConfigurationCommand({ Bucket: store.bucket }),
      );
      return lock?.Rule?.DefaultRetention?.Days ?? 0;
    } catch (error) {
      if ((error as Error).name === "ObjectLockConfigurationNotFoundError") return undefined;
      throw error;
    }
  });
}

function notTaken({ shown }: ObjectStore, what: string): Stop {
  return new Stop(
    EXIT.storeRefused,
    `The object store ${shown} was told ${what} and does not have it: it is not of a version that this stack knows.`,
    "Choose another image: pulumi config set budgie:objectStoreImage pgsty/minio:latest",
  );
}
