import {
  DeleteBucketPolicyCommand,
  GetBucketPolicyCommand,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";

export const bucketPolicy = bucketSetting({
  type: "aws:s3/bucketPolicy:BucketPolicy",
  fields: { policy: { is: "policy", required: true } },
  put: async (at, Bucket, inputs) =>
    void (await at.s3.send(new PutBucketPolicyCommand({ Bucket, Policy: inputs.policy as string }))),
  get: async (at, Bucket) => {
    const answer = await unless(
      ["NoSuchBucket", "NoSuchBucketPolicy"],
      at.s3.send(new GetBucketPolicyCommand({ Bucket })),
    );
    return answer && { policy: answer.Policy };
  },
  remove: async (at, Bucket) => void (await at.s3.send(new DeleteBucketPolicyCommand({ Bucket }))),
});
