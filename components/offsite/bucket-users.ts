import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Credentials } from "../../settings/offsite.ts";
import { type Rights, readerRights, writerRights } from "../../shared/bucket-rights.ts";
import type { BucketPlace } from "./bucket-settings.ts";

export interface BucketKeys {
  writer: Credentials;
  reader: Credentials;
  /** What gives the keys their rights. */
  ready: pulumi.Resource[];
}

/** One user that can only add and one that can only read. `pulumi destroy` removes both, and so their keys. */
export function createUsers(on: BucketPlace, { arn }: aws.s3.Bucket): BucketKeys {
  const writer = createUser(on, "writer", arn, writerRights);
  const reader = createUser(on, "reader", arn, readerRights);
  return { writer: writer.keys, reader: reader.keys, ready: [writer.policy, reader.policy] };
}

function createUser(
  { name, prefix, tags, parent, provider }: BucketPlace,
  role: string,
  arn: pulumi.Output<string>,
  rights: (arn: string, prefix: string) => Rights,
): { keys: Credentials; policy: pulumi.Resource } {
  const options = { parent, provider };
  // Its name gets a random ending: a stack whose state was lost makes new users beside the old ones.
  const user = new aws.iam.User(`${name}-${role}`, { path: "/budgie/", tags }, options);
  const policy = new aws.iam.UserPolicy(
    `${name}-${role}-policy`,
    { user: user.name, policy: arn.apply(arn => JSON.stringify(rights(arn, prefix))) },
    options,
  );
  const key = new aws.iam.AccessKey(`${name}-${role}-key`, { user: user.name }, options);
  return { keys: { accessKeyId: pulumi.secret(key.id), secretAccessKey: pulumi.secret(key.secret) }, policy };
}
