import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { COMMANDS_RUN_HERE } from "../shared/project-folder.ts";
import type { Backend } from "./backend.ts";
import type { BackupAgent } from "./backup-agent.ts";
import type { Place } from "./containers/place.ts";
import type { AnyDatabase } from "./database.ts";
import type { Program } from "./steps/interrupted-replacement.ts";
import { programPlace } from "./steps/program-place.ts";

export interface BackupGatesArgs {
  place: Place;
  database: AnyDatabase;
  agent: BackupAgent;
  /** None where the program has an application of its own. */
  backend?: Backend | undefined;
}

const SCRIPT = "node --import tsx components/backup-gate.ts";

/**
 * For stacks that were made before there were gates: their state has no gate that could be deleted. The database's
 * container depends on this one, so it is made before that container is touched, and takes a backup when it is made. It
 * does so once, and not where there is no database container yet.
 */
export function gateOfOlderStacks(
  engineHost: string,
  namePrefix: string,
  name = "backup-gate-of-older-stacks",
  opts: pulumi.CustomResourceOptions = {},
): pulumi.Resource {
  return new command.local.Command(
    name,
    {
      create: SCRIPT,
      ...programPlace,
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
 * Its trigger is the database container's id (of a managed database, Amazon's id of the server), so the engine replaces it together with that container. The old container is
 * deleted before the new one is made, and what depends on it by a replacing input is deleted before that. So the order of
 * any `up` that replaces the database, and of `destroy`, is: backup, then the database. A failing deletion ends the update
 * with the database untouched.
 *
 * Both backups have the reason `before-change`, because the gate cannot tell a `destroy` from a replacement. Pulumi's engine
 * tells a provider which resource to delete, and not why. It sets no variable, and notes a deletion in the state only once
 * it is done. A second resource, which `destroy` alone deletes, could leave a mark before the gate is deleted. But a
 * `destroy` that is cut off or refused would leave that mark behind, and the next backup would have the wrong reason.
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
        ...programPlace,
        stdin: pulumi.jsonStringify({
          engine: args.place.engine.host,
          namePrefix: args.place.namePrefix,
          stack: args.place.stack,
          ...(args.database.connection.managed ? { managed: true } : {}),
          ...(COMMANDS_RUN_HERE ? {} : { program: programOf(name) }),
        }),
        triggers: [args.database.connection.server],
        addPreviousOutputInEnv: false,
      },
      // The agent takes the backup and sends it to the bucket, so all of these must still be there; and a `destroy` that is
      // refused should leave the API running.
      {
        parent: this,
        dependsOn: [
          agent.container,
          agent.databaseIdentity,
          ...agent.bucketReady,
          ...(args.backend ? [args.backend.ready] : []),
        ],
      },
    );
    this.registerOutputs({});
  }
}

/** What the gate cannot see from the package's folder, where it runs: whose database it is. */
function programOf(name: string): Program {
  return {
    folder: process.cwd(),
    stack: pulumi.getStack(),
    gate: `${name}-before-change`,
    database: name.replace(/backup-gates$/, "database-container"),
  };
}
