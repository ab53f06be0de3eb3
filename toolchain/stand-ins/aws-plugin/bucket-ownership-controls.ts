import {
  DeleteBucketOwnershipControlsCommand,
  GetBucketOwnershipControlsCommand,
  type ObjectOwnership,
  PutBucketOwnershipControlsCommand,
} from "@aws-sdk/client-s3";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";

export const bucketOwnershipControls = bucketSetting({
  type: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  fields: {
    rule: {
      is: "object",
      required: true,
      fields: {
        objectOwnership: {
          is: "text",
          required: true,
          oneOf: ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"],
        },
      },
    },
  },
  put: async (at, Bucket, inputs) => {
    const { objectOwnership } = inputs.rule as { objectOwnership: ObjectOwnership };
    const OwnershipControls = { Rules: [{ ObjectOwnership: objectOwnership }] };
    await at.s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
  },
  get: async (at, Bucket) => {
    const none = ["NoSuchBucket", "OwnershipControlsNotFoundError"];
    const answer = await unless(none, at.s3.send(new GetBucketOwnershipControlsCommand({ Bucket })));
    const rule = answer?.OwnershipControls?.Rules?.[0];
    return rule && { rule: { objectOwnership: rule.ObjectOwnership } };
  },
  remove: async (at, Bucket) => void (await at.s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket }))),
});
