// A step of `pulumi up`: marks the bucket as this stack's, and tries whether a store other than Amazon's can do what safe copies need.

import { openStore, type StoreCredentials } from "../object-store/client.ts";
import { probeStore } from "../object-store/probe.ts";
import { setTags } from "../object-store/tags.ts";
import { runStep } from "./steps/main.ts";

interface Input {
  region: string;
  bucket: string;
  prefix: string;
  endpoint: string;
  pathStyle: boolean;
  operator: StoreCredentials;
  writer: StoreCredentials;
  /** Null for a store that has none. */
  tags: Record<string, string> | null;
}

const DEADLINE_SECONDS = 120;

// It would advise on the Node version, in the midst of why something failed.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

await runStep<Input>(DEADLINE_SECONDS, async ({ operator, writer, tags, ...place }) => {
  const own = openStore({ kind: "s3", ...place }, operator, "reader");
  if (tags) await setTags(own, tags);
  await probeStore(openStore({ kind: "s3", ...place }, writer, "writer"), own);
  return `${own.shown} takes backups, and never overwrites one.`;
});
