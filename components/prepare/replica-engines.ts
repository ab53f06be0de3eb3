import { type Engine, findEngine, unreachable } from "../../engine/find-engine.ts";
import { type DroppedInput, engineTraits } from "../../engine/traits.ts";
import type { Settings } from "../../settings.ts";
import { replicaName } from "../../shared/replica-name.ts";
import { type ImageTriggers, imageTriggers, type KnownImage } from "../images/pulled-image.ts";

/** The engine that a replica is on, as it was found. */
export interface PreparedReplica {
  name: string;
  engine: Engine;
  dropped: readonly DroppedInput[];
  triggers: ImageTriggers;
  /** Why nothing can be made there. */
  problem: string | undefined;
}

/** What a replica's resources in Pulumi's state begin with. */
export function replicaResource(name: string): string {
  return `replica-${name}`;
}

/** Asks the engines of all replicas at once. */
export function lookAtReplicas(
  own: Engine,
  { replicas, stack }: Settings,
  images: ReadonlyMap<string, KnownImage>,
): Promise<PreparedReplica[]> {
  return Promise.all((replicas?.hosts ?? []).map(host => lookAt(host, own, stack, images)));
}

async function lookAt(
  host: string,
  own: Engine,
  stack: string,
  images: ReadonlyMap<string, KnownImage>,
): Promise<PreparedReplica> {
  const name = replicaName(host);
  const engine = await findEngine(host);
  const image = `${replicaResource(name)}-image`;
  const known = new Map([...images].filter(([resource]) => resource === image));
  if (!engine.reachable)
    return {
      name,
      engine,
      dropped: [],
      triggers: new Map(),
      problem: replicaUnreachable(engine, name, stack),
    };
  const [traits, triggers] = await Promise.all([engineTraits(engine), imageTriggers(engine, known)]);
  const same = own.reachable && (await engineTraits(own)).identity === traits.identity;
  return { name, engine, dropped: traits.dropped, triggers, problem: same ? sameEngine(host) : undefined };
}

function replicaUnreachable(engine: Engine, name: string, stack: string): string {
  return [
    `${unreachable(engine).split("\n")[0]} A replica is there (budgie:replicaHosts). Nothing was changed.`,
    "Bring that machine back. If it is gone for good, have the stack forget it, and take it out of budgie:replicaHosts:",
    `  npm run pulumi -- state delete --target-dependents 'urn:pulumi:${stack}::budgie::budgie:stack:Replica$pulumi:providers:docker::${replicaResource(name)}-engine'`,
    "  npm run pulumi -- config rm budgie:replicaHosts     # or set it to the others",
  ].join("\n");
}

function sameEngine(host: string): string {
  return [
    `${host} (budgie:replicaHosts) leads to the database's own container engine. A replica there would die with the database. Nothing was changed.`,
    "Name an engine of another machine:",
    "  npm run pulumi -- config set budgie:replicaHosts ssh://budgie@db2.example.com",
  ].join("\n");
}
