import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Backend } from "./backend.ts";
import type { BackupAgent } from "./backup-agent.ts";
import type { Database } from "./database.ts";
import type { Place } from "./place.ts";

export interface BackupGatesArgs {
  place: Place;
  database: Database;
  agent: BackupAgent;
  backend: Backend;
}

const SCRIPT = "node --import tsx components/backup-gate.ts";

/**
 * For stacks of a time before there were gates, whose state has none that could be deleted: what the database's container
 * depends on, so that it is made before that is touched, and takes a backup when it is made. Once, and of nothing where there
 * is no database container yet.
 */
export function gateOfOlderStacks(
  engineHost: string,
  namePrefix: string,
  opts: pulumi.CustomResourceOptions = {},
): pulumi.Resource {
  return new command.local.Command(
    "backup-gate-of-older-stacks",
    {
      create: SCRIPT,
      // Only its creation counts.
      update: "exit 0",
      stdin: JSON.stringify({ engine: engineHost, namePrefix, ifThere: true }),
      addPreviousOutputInEnv: false,
    },
    opts,
  );
}

/**
 * What stands between Pulumi and the database: a resource whose deletion takes a backup, and fails when the backup fails.
 *
 * Its trigger is the database container's id, so the engine replaces it with every other database container; and because
 * the old container is deleted before the new one is made, all that depends on it by a replacing input is deleted before
 * that. So the order of any `up` that replaces the database, and of `destroy`, is: backup, then the database. A failing
 * deletion ends the update with the database untouched.
 */
export class BackupGates extends pulumi.ComponentResource {
  constructor(name: string, args: BackupGatesArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:BackupGates", name, {}, opts);
    const { agent } = args;
    new command.local.Command(
      `${name}-before-change`,
      {
        create: "exit 0",
        delete: SCRIPT,
        stdin: pulumi.jsonStringify({
          engine: args.place.engine.host,
          namePrefix: args.place.namePrefix,
          stack: args.place.stack,
        }),
        triggers: [args.database.container.id],
        addPreviousOutputInEnv: false,
      },
      // The agent takes the backup and sends it to the bucket, so all of these must still be there; and a `destroy` that is
      // refused should leave the API running.
      {
        parent: this,
        dependsOn: [agent.container, agent.databaseIdentity, ...agent.bucketReady, args.backend.ready],
      },
    );
    this.registerOutputs({});
  }
}
