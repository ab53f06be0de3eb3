import {
  type BucketVersioningStatus,
  GetBucketVersioningCommand,
  PutBucketVersioningCommand,
} from "@aws-sdk/client-s3";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";

export const bucketVersioning = bucketSetting({
  type: "aws:s3/bucketVersioning:BucketVersioning",
  fields: {
    versioningConfiguration: {
      is: "object",
      required: true,
      fields: {
        status: { is: "text", required: true, oneOf: ["Enabled", "Suspended", "Disabled"] },
        mfaDelete: { is: "text", oneOf: ["Enabled", "Disabled"], default: "Disabled" },
      },
    },
  },
  unsupported: ["expectedBucketOwner", "mfa"],
  put: async (at, Bucket, inputs) => {
    const { status } = inputs.versioningConfiguration as { status: string };
    // There is no call for it: it is what a bucket is before it first has versions.
    if (status === "Disabled") return;
    const VersioningConfiguration = { Status: status as BucketVersioningStatus };
    await at.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  },
  get: async (at, Bucket) => {
    const answer = await unless(["NoSuchBucket"], at.s3.send(new GetBucketVersioningCommand({ Bucket })));
    if (!answer) return undefined;
    return { versioningConfiguration: { status: answer.Status ?? "Disabled", mfaDelete: answer.MFADelete } };
  },
  remove: async (at, Bucket, state) => {
    const { status } = state.versioningConfiguration as { status: string };
    if (status === "Disabled") return;
    const suspending = at.s3.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    );
    // A bucket with object lock keeps its versions for good.
    await unless(["NoSuchBucket", "InvalidBucketState"], suspending);
  },
});
