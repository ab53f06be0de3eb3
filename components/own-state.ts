import * as pulumi from "@pulumi/pulumi";

/** A resource as the last `up` left it in the state. */
export interface Recorded {
  urn: string;
  outputs: Record<string, unknown>;
}

/** What is in this stack's own state when the program starts, secrets in plain. */
export interface OwnState {
  /** Undefined for what no `up` has made yet, or what a refresh has missed since. */
  resource(type: string, name: string): Recorded | undefined;
}

interface Answer {
  outputs?: Record<string, { type: string; outputs: Record<string, unknown> }>;
}

/**
 * Asks the engine for the state. A resource can only be asked for what it remembers by declaring it, and then it remembers
 * from that moment on; some things must be known before it is right to remember them. Throws when the state cannot be read.
 */
export async function readOwnState(): Promise<OwnState> {
  const stackName = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
  const { outputs = {} }: Answer = await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {
    stackName,
  });
  return {
    resource: (type, name) => {
      const found = Object.entries(outputs).find(
        ([urn, recorded]) => recorded.type === type && urn.endsWith(`::${name}`),
      );
      return found && { urn: found[0], outputs: found[1].outputs };
    },
  };
}
