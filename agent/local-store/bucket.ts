import {
  CreateBucketCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type ObjectLockConfiguration,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../object-store/client.ts";
import { asking } from "../../object-store/errors.ts";
import { setLifecycle } from "../../object-store/lifecycle.ts";
import { lifecycleRules } from "../../shared/bucket-lifecycle.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { LocalStoreWanted } from "./wanted.ts";

type BucketWanted = Pick<LocalStoreWanted, "keepDays" | "noncurrentDays" | "lockDays">;

/**
 * Makes the bucket if it is missing. Sets versioning, object lock and lifecycle, and reads them back. Deletes nothing; the store
 * deletes what the lifecycle says when its time has come. Throws a Stop.
 */
export async function setUpBucket(store: ObjectStore, wanted: BucketWanted): Promise<void> {
  await createBucket(store, wanted.lockDays > 0);
  await keepVersions(store);
  await setLock(store, wanted.lockDays);
  // It has no rule for abandoned uploads: this line of servers silently drops that rule, and removes such uploads itself after
  // a day.
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
      "Let the stack make another one: npm run pulumi -- config set budgie:bucket budgie-locked-backups; or: npm run pulumi -- config set budgie:objectLockDays 0",
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

/** In days. 0 for a bucket that can lock and does not, undefined for one that cannot. */
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
    "Choose another image: npm run pulumi -- config set budgie:objectStoreImage pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
  );
}
