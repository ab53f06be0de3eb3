import { LABEL } from "./labels.ts";

/** The outputs of a resource in a stack's state, by its type and name. */
export type FindOutputs = (type: string, name: string) => Record<string, unknown> | undefined;

/**
 * What the stack was called when its data came to be, by its state; undefined where that says nothing. `pulumi stack rename` changes
 * the name that Pulumi has for it. Its backups, its key, its folders and its containers' labels keep the first one.
 */
export function firstStackName(outputsOf: FindOutputs): string | undefined {
  const data = outputsOf("pulumi:index:Stash", "data")?.input as { stack?: unknown } | undefined;
  if (typeof data?.stack === "string") return data.stack;
  // States of before the stack remembered it.
  const labels = outputsOf("docker:index/container:Container", "backup-agent-container")?.labels;
  const named = (Array.isArray(labels) ? labels : []).find(({ label }) => label === LABEL.stack);
  return typeof named?.value === "string" ? named.value : undefined;
}
