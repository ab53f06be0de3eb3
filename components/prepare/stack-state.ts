import { setTimeout as delay } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { Within } from "../containers/within.ts";
import type { KnownImage } from "../images/pulled-image.ts";

/** A resource as the last `up` left it in the state. */
export interface Recorded {
  urn: string;
  outputs: Record<string, unknown>;
}

/** What is in this stack's own state when the program starts, secrets in plain. */
export interface StackState {
  /** Undefined for what no `up` has made yet, or what a refresh has missed since. */
  resource(type: string, name: string): Recorded | undefined;
}

interface Answer {
  outputs?: Record<string, { type: string; outputs: Record<string, unknown> }>;
}

/**
 * Asks the engine for the state. To ask a resource what it remembers means to declare it, and from then on it remembers;
 * but some things must be known before it is right to remember them. Throws when the state cannot be read.
 */
export async function readStackState(within: Within): Promise<StackState> {
  const stackName = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
  const { outputs = {} } = await readWhole(stackName);
  return {
    resource: (type, name) => {
      const found = Object.entries(outputs).find(
        ([urn, recorded]) => recorded.type === type && urn.endsWith(`::${within.name(name)}`),
      );
      return found && { urn: found[0], outputs: found[1].outputs };
    },
  };
}

const TRIES = 20;
const TRY_AGAIN_MS = 100;

/**
 * A state in a folder is written in place. While this asks, the engine may be writing down what the program has made so far, and then
 * there is half a file, which it reports as one that ends too early.
 */
async function readWhole(stackName: string): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      return await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName });
    } catch (error) {
      if (tries === TRIES || !(error as Error).message.includes("failed to load checkpoint")) throw error;
      await delay(TRY_AGAIN_MS);
    }
  }
}

/** The resources whose image may come from a registry. */
const PULLED = ["database-image", "object-store-image", "backend-image"];

/** Those that do, by the resource's name: not those that the stack built. */
export function knownImages(state: StackState): ReadonlyMap<string, KnownImage> {
  return new Map(
    PULLED.flatMap(resource => {
      const outputs = state.resource("docker:index/remoteImage:RemoteImage", resource)?.outputs;
      if (!outputs || outputs.build || typeof outputs.name !== "string") return [];
      const imageId = typeof outputs.imageId === "string" ? outputs.imageId : undefined;
      const triggers = outputs.triggers as Record<string, string> | undefined;
      return [[resource, { name: outputs.name, imageId, triggers }] as const];
    }),
  );
}
