import * as pulumi from "@pulumi/pulumi";
import type { Engine } from "../../engine/find-engine.ts";
import { engineTraits } from "../../engine/traits.ts";
import { underneath, WHOLE_PROGRAM } from "../containers/within.ts";
import { settled } from "./settled.ts";

/**
 * One container engine, whatever address leads to it. The address alone says too little. Tomorrow another engine may be
 * behind a socket: Podman instead of Docker, root's instead of a user's. And one engine has several addresses.
 */
export interface KnownEngine {
  /** Where it answered, for the operator to find it again. */
  host: string;
  /** Null for one that did not answer, as in a preview without an engine. */
  identity: string | null;
}

/** The resource that remembers; what it is called is what the way out names. */
const NAME = "container-engine";

/** That the engine is another one than the stack's own. */
export interface OtherEngine {
  problem: string;
  /** Where its own one answered. */
  ownHost: string;
}

/**
 * Says so when the engine that was found is not the one that the stack was first brought up on: the stack's volume is there,
 * and `pulumi up` here would begin with an empty one. The state remembers the engine from the first `up` until `destroy`,
 * which is how a stack moves. Throws when the engine does not say who it is.
 */
export async function otherEngineProblem(
  engine: Engine,
  stack: string,
  within = WHOLE_PROGRAM,
): Promise<OtherEngine | undefined> {
  const found: KnownEngine = {
    host: engine.host,
    identity: engine.reachable ? (await engineTraits(engine)).identity : null,
  };
  const memory = new pulumi.Stash(
    within.name(NAME),
    { input: found },
    { ignoreChanges: ["input"], ...underneath(within) },
  );
  const urn = await settled(memory.urn);
  const own = (await settled(memory.output)) as KnownEngine | undefined;
  const problem = otherEngine(found, own, stack, urn ?? "");
  return own && problem !== undefined ? { problem, ownHost: own.host } : undefined;
}

/** What follows from the two. An unknown engine on either side is no problem: only `up` must know, and it has one. */
export function otherEngine(
  found: KnownEngine,
  own: KnownEngine | undefined,
  stack: string,
  urn: string,
): string | undefined {
  if (!own?.identity || !found.identity || own.identity === found.identity) return undefined;
  return [
    `Stack ${stack} belongs to another container engine than the one that answers: that of its first pulumi up. Its data, if it has any yet, is there. Nothing was changed.`,
    `  its own: ${own.host} (${own.identity})`,
    `  found:   ${found.host} (${found.identity})`,
    ...(own.host === found.host
      ? ["Start its own engine at that address again."]
      : ["Use its own:", `  npm run pulumi -- config set budgie:engineHost ${own.host}`]),
    "To move the stack: npm run pulumi -- destroy there, which backs up and keeps the volume; then npm run pulumi -- up and npx budgie restore here.",
    "If nothing of it is there, or it is the same engine after all (its machine was renamed), forget the old one:",
    `  npm run pulumi -- state delete '${urn}'`,
  ].join("\n");
}
