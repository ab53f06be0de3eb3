import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  type TransitionDefaultMinimumObjectSize,
} from "@aws-sdk/client-s3";
import { bucketSetting } from "./bucket-setting.ts";
import { unless } from "./errors.ts";
import { fromServer, type Rule, ruleFields, toServer } from "./lifecycle-rule.ts";

const MINIMUM_SIZE = "all_storage_classes_128K";
/** What the official plugin makes of an answer without it: a value that nobody can declare. */
const UNTOLD = "";
const NEVER_TOLD =
  "the store has taken the rules, but does not answer with x-amz-transition-default-minimum-object-size, as only AWS does. " +
  "The official AWS plugin waits three minutes for it and then fails (hashicorp/terraform-provider-aws issue 49019): " +
  "give this store its lifecycle rules another way";

export const bucketLifecycleConfiguration = bucketSetting({
  type: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  fields: {
    rules: { is: "list", required: true, fields: ruleFields },
    transitionDefaultMinimumObjectSize: {
      is: "text",
      oneOf: [MINIMUM_SIZE, "varies_by_storage_class"],
      default: MINIMUM_SIZE,
    },
  },
  unsupported: ["expectedBucketOwner", "timeouts"],
  put: async (at, Bucket, inputs) => {
    const size = inputs.transitionDefaultMinimumObjectSize ?? MINIMUM_SIZE;
    await at.s3.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: { Rules: (inputs.rules as Rule[]).map(toServer) },
        TransitionDefaultMinimumObjectSize: size as TransitionDefaultMinimumObjectSize,
      }),
    );
  },
  get: async (at, Bucket) => {
    const none = ["NoSuchBucket", "NoSuchLifecycleConfiguration"];
    const answer = await unless(none, at.s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })));
    if (!answer?.Rules?.length) return undefined;
    return {
      rules: answer.Rules.map(fromServer),
      transitionDefaultMinimumObjectSize: answer.TransitionDefaultMinimumObjectSize ?? UNTOLD,
    };
  },
  whyNotTaken: found => (found.transitionDefaultMinimumObjectSize === UNTOLD ? NEVER_TOLD : undefined),
  remove: async (at, Bucket) => void (await at.s3.send(new DeleteBucketLifecycleCommand({ Bucket }))),
});
