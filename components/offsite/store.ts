import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { Credentials } from "../../settings/offsite.ts";

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
