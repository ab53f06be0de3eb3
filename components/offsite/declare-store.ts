import type * as pulumi from "@pulumi/pulumi";
import type { ObjectStoreSettings } from "../../settings/offsite.ts";
import type { Place } from "../containers/place.ts";
import type { BucketLook } from "./bucket-look.ts";
import type { OffsiteStore } from "./store.ts";

export interface OffsiteStoreArgs {
  place: Place;
  store: ObjectStoreSettings;
  bucketLook: BucketLook;
  /** What its component is called, by the kind of the store. */
  names?: { local: string; other: string };
}

/**
 * Declares the object store that was chosen. The AWS provider is loaded for the stores that need it and no others: a stack
 * with a local store does not start its plugin.
 */
export async function declareStore(
  { place, store, bucketLook, names = { local: "object-store", other: "offsite" } }: OffsiteStoreArgs,
  opts: pulumi.ComponentResourceOptions,
): Promise<OffsiteStore | undefined> {
  switch (store.kind) {
    case "none":
      return undefined;
    case "local": {
      const { ObjectStore } = await import("./object-store.ts");
      return new ObjectStore(names.local, { place, store }, opts).offsite;
    }
    default: {
      const { BackupBucket } = await import("./backup-bucket.ts");
      return new BackupBucket(
        names.other,
        { place, store, bucketLook },
        opts.parent ? { parent: opts.parent } : {},
      ).offsite;
    }
  }
}
