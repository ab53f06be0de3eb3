import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { type DroppedInput, type Engine, spelling } from "./engine.ts";
import { labelledWith } from "./ignored-inputs.ts";
import type { PinnedImages } from "./pinned-images.ts";

/** Where a stack's containers live and what they have in common. */
export interface Place {
  engine: Engine;
  network: docker.Network;
  /** What to depend on: when it is there, every container that exists is in the network. */
  joined: pulumi.Resource;
  /** The stack's name, e.g. dev. */
  stack: string;
  namePrefix: string;
  /** What the engine does not carry out, and so reads back otherwise. */
  dropped: readonly DroppedInput[];
  pins: PinnedImages;
}

/** An image's name as the engine finds it, by its digest where it is pinned. */
export function imageName({ engine, pins }: Place, name: string): string {
  return pins.get(name) ?? spelling(engine.kind).image(name);
}

export type Role = "database" | "backend" | "backup-agent" | "object-store";

/** The settings that every container of the stack has. */
export function containerBase(place: Place, role: Role, labels: Record<string, pulumi.Input<string>> = {}) {
  const { noNewPrivileges, restart } = spelling(place.engine.kind);
  return {
    networksAdvanced: [{ name: place.network.name }],
    restart,
    securityOpts: [noNewPrivileges],
    logDriver: "json-file",
    logOpts: { "max-size": "10m", "max-file": "5" },
    labels: labelsOf({
      "budgie.stack": place.stack,
      "budgie.prefix": place.namePrefix,
      "budgie.role": role,
      ...labels,
    }),
  } satisfies Partial<docker.ContainerArgs>;
}

/** How every container of the stack is changed. */
export function containerOptions(
  place: Place,
  parent: pulumi.Resource,
  dependsOn: pulumi.Resource[] = [],
): pulumi.CustomResourceOptions {
  const spelled = spelling(place.engine.kind);
  const containerIgnores = [...spelled.containerIgnores, ...place.dropped];
  return {
    parent,
    dependsOn: [place.joined, ...dependsOn],
    ignoreChanges: containerIgnores,
    transformations: containerIgnores.length > 0 ? [labelledWith(containerIgnores)] : [],
    // The provider would record a change of these and leave the container as it is.
    replaceOnChanges: ["healthcheck", "init", "tmpfs", ...spelled.containerReplaces],
    // Two containers cannot have one name.
    deleteBeforeReplace: true,
  };
}

export function labelsOf(labels: Record<string, pulumi.Input<string>>) {
  return Object.entries(labels).map(([label, value]) => ({ label, value }));
}
