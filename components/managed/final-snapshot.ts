import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";

/**
 * The name of the snapshot that Amazon takes when somebody deletes the database. A snapshot outlives its database, and no two
 * may have one name. So the name has the moment in it at which it was made up, once for each database.
 */
export function finalSnapshotName(
  name: string,
  identifier: string,
  parent: pulumi.Resource,
): pulumi.Output<string> {
  const moment = `node -p "new Date().toISOString().slice(0, 19).replace(/[^0-9]/g, '')"`;
  const made = new command.local.Command(
    name,
    { create: moment, addPreviousOutputInEnv: false },
    // Any change of its inputs would run it again.
    { parent, ignoreChanges: ["create", "addPreviousOutputInEnv"] },
  );
  return made.stdout.apply(at => `${identifier}-final-${at}`);
}
