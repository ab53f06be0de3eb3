import * as pulumi from "@pulumi/pulumi";

/** Which component has which prefix, by the Pulumi stack: one process may serve several components of a program. */
const claimed = new Map<string, string>();

/**
 * Throws when another component of the same program has the prefix: the two would put two servers on one volume. Nothing on the engine
 * tells before both are up, and the labels of the second would be those of the first one's stack.
 */
export function claimPrefix(namePrefix: string, component: string): void {
  const key = [pulumi.getProject(), pulumi.getStack(), namePrefix].join("/");
  const other = claimed.get(key);
  if (other !== undefined && other !== component) {
    throw new Error(
      `The components ${other} and ${component} have the same namePrefix, ${namePrefix}. Each would take the other's volume. Nothing was changed.\n` +
        "Give one of them another:\n  the argument namePrefix",
    );
  }
  claimed.set(key, component);
}
