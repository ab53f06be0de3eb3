import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { spelling } from "../../engine/differences.ts";
import type { Engine } from "../../engine/find-engine.ts";
import type { DroppedInput } from "../../engine/traits.ts";
import { LABEL } from "../../shared/labels.ts";
import type { Role } from "../../shared/names.ts";
import type { PinnedImages } from "../images/pinned-images.ts";
import type { ImageTriggers } from "../images/pulled-image.ts";
import { labelledWith } from "./ignored-inputs.ts";

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
  triggers: ImageTriggers;
  /** The containers that something else than the stack removed. Pulumi has nothing to remove before it makes them. */
  lost: ReadonlySet<Role>;
  /** See `placeMarks`. */
  marks: Partial<Record<Role, string>>;
}

/** An image's name as the engine finds it, by its digest where it is pinned. */
export function imageName({ engine, pins }: Place, name: string): string {
  return pins.get(name) ?? spelling(engine.kind).image(name);
}

/** The settings that every container of the stack has. */
export function containerBase(place: Place, role: Role, labels: Record<string, pulumi.Input<string>> = {}) {
  const mark = place.marks[role];
  const marked: Record<string, string> = mark === undefined ? {} : { [LABEL.inPlaceOf]: mark };
  return {
    networksAdvanced: [{ name: place.network.name }],
    ...kept(place.engine),
    labels: [...labelsOfStack(place), ...labelsOf({ [LABEL.role]: role, ...labels, ...marked })],
  } satisfies Partial<docker.ContainerArgs>;
}

/** How a container is started again, kept from new rights, and logged. */
export function kept({ kind }: Pick<Engine, "kind">) {
  const { noNewPrivileges, restart } = spelling(kind);
  return {
    restart,
    securityOpts: [noNewPrivileges],
    logDriver: "json-file",
    logOpts: { "max-size": "10m", "max-file": "5" },
  } satisfies Partial<docker.ContainerArgs>;
}

/** How every container of the stack is changed. */
export function containerOptions(
  place: Place,
  role: Role,
  parent: pulumi.Resource,
  dependsOn: pulumi.Resource[] = [],
  readBackOtherwise: readonly string[] = [],
): pulumi.CustomResourceOptions {
  return {
    parent,
    dependsOn: [place.joined, ...dependsOn],
    ...changedAs(place.engine, [...place.dropped, ...readBackOtherwise]),
    // Two containers cannot have one name. Where the old one is gone, what depends on it stays until the new one is there: the
    // gate then takes its backup of that.
    deleteBeforeReplace: !place.lost.has(role),
  };
}

/** What an engine cannot change in a container, and what it reads back otherwise. */
export function changedAs({ kind }: Pick<Engine, "kind">, dropped: readonly string[]) {
  const spelled = spelling(kind);
  const ignored = [...spelled.containerIgnores, ...dropped];
  return {
    ignoreChanges: ignored,
    transformations: ignored.length > 0 ? [labelledWith(ignored)] : [],
    // The provider would record a change of these and leave the container as it is.
    replaceOnChanges: ["healthcheck", "init", "tmpfs", ...spelled.containerReplaces],
  } satisfies pulumi.CustomResourceOptions;
}

/** What everything of a stack has. */
export function labelsOfStack({ stack, namePrefix }: Pick<Place, "stack" | "namePrefix">) {
  return labelsOf({ [LABEL.stack]: stack, [LABEL.prefix]: namePrefix });
}

export function labelsOf(labels: Record<string, pulumi.Input<string>>) {
  return Object.entries(labels).map(([label, value]) => ({ label, value }));
}
