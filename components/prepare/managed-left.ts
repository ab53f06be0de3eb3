import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../settings.ts";
import { lookAtManaged } from "../managed/look.ts";
import {
  MANAGED_PARTS,
  type ManagedLook,
  type ManagedPart,
  managedNames,
  NOTHING_LEFT,
} from "../managed/parts.ts";
import type { StackState } from "./stack-state.ts";

const TYPES: Readonly<Record<"rds" | "aurora", Record<ManagedPart, [type: string, name: string]>>> = {
  rds: {
    data: ["aws:rds/instance:Instance", "database-instance"],
    parameters: ["aws:rds/parameterGroup:ParameterGroup", "database-parameters"],
    subnets: ["aws:rds/subnetGroup:SubnetGroup", "database-subnets"],
  },
  aurora: {
    data: ["aws:rds/cluster:Cluster", "database-cluster"],
    parameters: ["aws:rds/clusterParameterGroup:ClusterParameterGroup", "database-parameters"],
    subnets: ["aws:rds/subnetGroup:SubnetGroup", "database-subnets"],
  },
};

/**
 * What an earlier `destroy` has left of the managed database, so that the `up` takes it over. Throws where the database is
 * somebody else's, and where nobody can tell. A preview goes on in the latter case.
 */
export async function leftOfManaged(settings: Settings, state: StackState): Promise<ManagedLook> {
  const { managed, postgresVersion } = settings;
  if (managed === undefined) return NOTHING_LEFT;
  const unknown = MANAGED_PARTS.filter(
    part =>
      state.resource(...TYPES[managed.kind][part]) === undefined &&
      (part !== "subnets" || managed.subnets.length > 0),
  );
  if (unknown.length === 0) return NOTHING_LEFT;
  const seen = await lookAtManaged(managed, settings, postgresVersion, unknown);
  if ("left" in seen) return { ...seen, withoutCredentials: false };
  if ("theirs" in seen) throw new Error(theirs(settings, seen.theirs));
  const problem = cannotBeAsked(settings, seen.unknown);
  if (!pulumi.runtime.isDryRun()) throw new Error(problem);
  pulumi.log.warn(problem);
  return { left: [], withoutCredentials: seen.withoutCredentials };
}

function theirs({ stack, namePrefix, postgresVersion }: Settings, tags: Record<string, string>): string {
  const { data } = managedNames({ namePrefix }, postgresVersion);
  const { "budgie:stack": other, "budgie:prefix": prefix } = tags;
  const whose =
    other === undefined
      ? "and nothing says that it is this stack's"
      : `and its tags say that it is the stack ${other}'s with the name prefix ${prefix}`;
  return [
    `Amazon has a database ${data} already, ${whose}. Nothing was changed.`,
    "  npm run pulumi -- config set budgie:namePrefix ANOTHER_NAME     # gives this stack a database of its own",
    `  Or, if it is to be this stack's from now on, give it in Amazon's console the tags budgie:project=budgie, budgie:stack=${stack}, budgie:prefix=${namePrefix}.`,
  ].join("\n");
}

function cannotBeAsked({ namePrefix, postgresVersion, managed }: Settings, why: string): string {
  return [
    `Whether Amazon has the database ${managedNames({ namePrefix }, postgresVersion).data} in ${managed?.region} already cannot be told: ${why}.`,
    "  aws sts get-caller-identity     # says whether your AWS credentials work; AWS_PROFILE chooses others",
  ].join("\n");
}
