import {
  DeletePublicAccessBlockCommand,
  GetPublicAccessBlockCommand,
  PutPublicAccessBlockCommand,
} from "@aws-sdk/client-s3";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";

export const bucketPublicAccessBlock = bucketSetting({
  type: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  fields: {
    blockPublicAcls: { is: "flag", default: false },
    blockPublicPolicy: { is: "flag", default: false },
    ignorePublicAcls: { is: "flag", default: false },
    restrictPublicBuckets: { is: "flag", default: false },
  },
  unsupported: ["skipDestroy"],
  put: async (at, Bucket, inputs) => {
    const PublicAccessBlockConfiguration = {
      BlockPublicAcls: inputs.blockPublicAcls === true,
      BlockPublicPolicy: inputs.blockPublicPolicy === true,
      IgnorePublicAcls: inputs.ignorePublicAcls === true,
      RestrictPublicBuckets: inputs.restrictPublicBuckets === true,
    };
    await at.s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }));
  },
  get: async (at, Bucket) => {
    const none = ["NoSuchBucket", "NoSuchPublicAccessBlockConfiguration"];
    const answer = await unless(none, at.s3.send(new GetPublicAccessBlockCommand({ Bucket })));
    const found = answer?.PublicAccessBlockConfiguration;
    return (
      found && {
        blockPublicAcls: found.BlockPublicAcls,
        blockPublicPolicy: found.BlockPublicPolicy,
        ignorePublicAcls: found.IgnorePublicAcls,
        restrictPublicBuckets: found.RestrictPublicBuckets,
      }
    );
  },
  remove: async (at, Bucket) => void (await at.s3.send(new DeletePublicAccessBlockCommand({ Bucket }))),
});
