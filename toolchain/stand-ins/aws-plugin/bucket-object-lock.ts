import {
  GetObjectLockConfigurationCommand,
  type ObjectLockRetentionMode,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import type { Properties } from "../provider.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";

interface Retention {
  mode?: ObjectLockRetentionMode;
  days?: number;
  years?: number;
}

export const bucketObjectLockConfiguration = bucketSetting({
  type: "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
  fields: {
    objectLockEnabled: { is: "text", oneOf: ["Enabled"], default: "Enabled", replaces: true },
    rule: {
      is: "object",
      fields: {
        defaultRetention: {
          is: "object",
          required: true,
          fields: {
            mode: { is: "text", oneOf: ["GOVERNANCE", "COMPLIANCE"] },
            // moto answers with zero years for a retention of days.
            days: { is: "number", default: 0 },
            years: { is: "number", default: 0 },
          },
        },
      },
    },
  },
  unsupported: ["expectedBucketOwner", "token"],
  put: async (at, Bucket, inputs) => {
    const { mode, days, years } =
      (inputs.rule as { defaultRetention: Retention } | undefined)?.defaultRetention ?? {};
    const DefaultRetention = {
      ...(mode && { Mode: mode }),
      ...(days && { Days: days }),
      ...(years && { Years: years }),
    };
    const Rule = inputs.rule ? { Rule: { DefaultRetention } } : {};
    const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled" as const, ...Rule };
    await at.s3.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
  },
  get: async (at, Bucket) => {
    const none = ["NoSuchBucket", "ObjectLockConfigurationNotFoundError"];
    const answer = await unless(none, at.s3.send(new GetObjectLockConfigurationCommand({ Bucket })));
    const found = answer?.ObjectLockConfiguration;
    const retention = found?.Rule?.DefaultRetention;
    const rule: Properties | undefined = retention && {
      defaultRetention: { mode: retention.Mode, days: retention.Days, years: retention.Years },
    };
    return found && { objectLockEnabled: found.ObjectLockEnabled, rule };
  },
  /** Object lock itself cannot be taken from a bucket. */
  remove: async (at, Bucket) => {
    const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled" as const };
    await at.s3.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
  },
});
