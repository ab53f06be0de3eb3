import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { Credentials, ObjectStoreSettings } from "./offsite-settings.ts";
import type { Place } from "./place.ts";
import type { BucketLook } from "./prepare.ts";

/** A bucket that backups are sent to, as the backup agent and the outputs need to know it. */
export interface OffsiteStore {
  kind: "aws" | "s3" | "local";
  bucket: string;
  /** What the stack's keys begin with, `dev/`. */
  prefix: string;
  region: string;
  /** As seen from the backup agent's container; undefined for Amazon's own. */
  endpoint: pulumi.Input<string> | undefined;
  pathStyle: boolean;
  /** Can add, and nothing else, where the store has such keys. */
  writer: Credentials;
  /** Can list and read. */
  reader: Credentials;
  /** What the agent's container must wait for. */
  ready: pulumi.Resource[];
  /**
   * Makes the bucket from inside the agent's container, where the store can be reached from nowhere else.
   * Returns what to depend on.
   */
  setUpFrom?: (agent: docker.Container) => pulumi.Resource;
}

export interface OffsiteStoreArgs {
  place: Place;
  store: ObjectStoreSettings;
  bucketLook: BucketLook;
}

/**
 * Declares the object store that was chosen. The AWS provider is loaded for the stores that need it and no others: a stack
 * with a local store does not start its plugin.
 */
export async function offsiteStore(
  { place, store, bucketLook }: OffsiteStoreArgs,
  opts: pulumi.ComponentResourceOptions,
): Promise<OffsiteStore | undefined> {
  switch (store.kind) {
    case "none":
      return undefined;
    case "local": {
      const { ObjectStore } = await import("./object-store.ts");
      return new ObjectStore("object-store", { place, store }, opts).offsite;
    }
    default: {
      const { BackupBucket } = await import("./backup-bucket.ts");
      return new BackupBucket("offsite", { place, store, bucketLook }, {}).offsite;
    }
  }
}

/** What every key of a stack begins with. */
export function keyPrefix(stack: string): string {
  return `${stack}/`;
}
