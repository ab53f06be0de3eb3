import {
  DeleteBucketEncryptionCommand,
  GetBucketEncryptionCommand,
  PutBucketEncryptionCommand,
  type ServerSideEncryption,
} from "@aws-sdk/client-s3";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";

interface EncryptionRule {
  applyServerSideEncryptionByDefault?: { sseAlgorithm: ServerSideEncryption; kmsMasterKeyId?: string };
  bucketKeyEnabled?: boolean;
}

export const bucketServerSideEncryptionConfiguration = bucketSetting({
  type: "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  fields: {
    rules: {
      is: "list",
      required: true,
      fields: {
        applyServerSideEncryptionByDefault: {
          is: "object",
          fields: {
            sseAlgorithm: { is: "text", required: true, oneOf: ["AES256", "aws:kms", "aws:kms:dsse"] },
            kmsMasterKeyId: { is: "text", default: "" },
          },
        },
        bucketKeyEnabled: { is: "flag", default: false },
      },
    },
  },
  unsupported: ["expectedBucketOwner"],
  put: async (at, Bucket, inputs) => {
    const Rules = (inputs.rules as EncryptionRule[]).map(rule => {
      const { sseAlgorithm, kmsMasterKeyId } = rule.applyServerSideEncryptionByDefault ?? {};
      return {
        ...(sseAlgorithm && {
          ApplyServerSideEncryptionByDefault: {
            SSEAlgorithm: sseAlgorithm,
            ...(kmsMasterKeyId && { KMSMasterKeyID: kmsMasterKeyId }),
          },
        }),
        ...(rule.bucketKeyEnabled !== undefined && { BucketKeyEnabled: rule.bucketKeyEnabled }),
      };
    });
    const ServerSideEncryptionConfiguration = { Rules };
    await at.s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration }));
  },
  get: async (at, Bucket) => {
    const none = ["NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError"];
    const answer = await unless(none, at.s3.send(new GetBucketEncryptionCommand({ Bucket })));
    const rules = answer?.ServerSideEncryptionConfiguration?.Rules?.map(rule => ({
      applyServerSideEncryptionByDefault: {
        sseAlgorithm: rule.ApplyServerSideEncryptionByDefault?.SSEAlgorithm,
        kmsMasterKeyId: rule.ApplyServerSideEncryptionByDefault?.KMSMasterKeyID,
      },
      bucketKeyEnabled: rule.BucketKeyEnabled,
    }));
    return rules && { rules };
  },
  remove: async (at, Bucket) => void (await at.s3.send(new DeleteBucketEncryptionCommand({ Bucket }))),
});
