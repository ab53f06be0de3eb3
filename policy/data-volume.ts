import type { ContainerArgs, VolumeArgs } from "@pulumi/docker";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import type { Unwrap } from "@pulumi/pulumi";
import { LABEL } from "../shared/labels.ts";
import type { Role } from "../shared/names.ts";
import { CONTAINER, ofType, VOLUME } from "./resource-of-type.ts";

const DATA_FOLDER = "/var/lib/postgresql/data";
/** A change of any of these replaces a volume. */
const REPLACING = ["labels", "driver", "driverOpts"];

/** Whether the container is the database, going by the label that the operator's commands find it by. */
export function isDatabase({ labels }: Unwrap<ContainerArgs>): boolean {
  return (
    labels?.some(({ label, value }) => label === LABEL.role && value === ("database" satisfies Role)) ?? false
  );
}

export const databaseIsOnAVolume: ResourceValidationPolicy = {
  name: "database-is-on-a-volume",
  description:
    "The database keeps its data on a named volume, and its container does not take the volume along.",
  severity: "critical",
  validateResource: ofType<ContainerArgs>(CONTAINER, (container, { name }, report) => {
    if (!isDatabase(container)) return;
    const mounted = container.volumes?.find(({ containerPath }) => containerPath === DATA_FOLDER);
    if (!mounted?.volumeName) {
      report(
        `The database container ${name} has no named volume at ${DATA_FOLDER}: its data is gone with the container. ` +
          `Type: volumes: [{ volumeName: volume.name, containerPath: "${DATA_FOLDER}" }]`,
      );
    }
    if (container.removeVolumes !== false) {
      report(
        `The database container ${name} removes volumes that have no name together with itself, and data may be in one. ` +
          "Type: removeVolumes: false",
      );
    }
  }),
};

/**
 * `retainOnDelete` is not among what the engine tells a policy (AnalyzerResourceOptions): `npm run preview:comment` reads
 * it in the preview instead.
 */
export const volumesAreNotReplaced: ResourceValidationPolicy = {
  name: "volumes-are-not-replaced",
  description: "A volume has a name of its own and is not replaced for its labels or its driver.",
  severity: "critical",
  validateResource: ofType<VolumeArgs>(VOLUME, (volume, { name, opts }, report) => {
    if (!volume.name) {
      report(
        `The volume ${name} gets a random name, so the next stack would not find the data again. ` +
          'Type: name: "budgie-…"',
      );
    }
    const missing = REPLACING.filter(property => !opts.ignoreChanges.includes(property));
    if (missing.length > 0) {
      report(
        `The volume ${name} is replaced by a new, empty one when its ${missing.join(", ")} change. ` +
          `Type, in its options: ignoreChanges: ${JSON.stringify(REPLACING)}`,
      );
    }
  }),
};
