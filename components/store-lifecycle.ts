// A step of `pulumi up`: sets what becomes of old backups in a store other than Amazon's. The AWS provider would wait three
// minutes for a header that only Amazon answers with, and then fail (hashicorp/terraform-provider-aws#49019).

import { openStore } from "../object-store/client.ts";
import { setLifecycle } from "../object-store/lifecycle.ts";
import { type Expiry, lifecycleRules } from "../shared/bucket-lifecycle.ts";
import { runStep } from "./steps/main.ts";

interface Input {
  region: string;
  bucket: string;
  prefix: string;
  endpoint: string;
  pathStyle: boolean;
  operator: { accessKeyId: string; secretAccessKey: string };
  expiry: Expiry;
}

const DEADLINE_SECONDS = 120;

// It would advise on the Node version, in the midst of why something failed.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

await runStep<Input>(DEADLINE_SECONDS, async ({ operator, expiry, ...place }) => {
  const store = openStore({ kind: "s3", ...place }, operator, "reader");
  await setLifecycle(store, lifecycleRules(place.prefix, expiry));
  return `Backups in ${store.shown} go after ${expiry.keepDays} days.`;
});
