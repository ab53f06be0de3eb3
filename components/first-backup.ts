import * as pulumi from "@pulumi/pulumi";
import type { Backend } from "./backend.ts";
import type { BackupAgent } from "./backup-agent.ts";
import type { Place } from "./containers/place.ts";
import type { AnyDatabase } from "./database.ts";
import { step } from "./steps/step.ts";

export interface FirstBackupArgs {
  place: Place;
  database: AnyDatabase;
  agent: BackupAgent;
  backend?: Backend | undefined;
}

/**
 * What `pulumi up` ends with: a backup of the database, proven by restoring it. It runs when the database's server or
 * what holds its data is new, and after the API is ready, which has made its tables by then. No other part of the stack waits for it,
 * so the gates stand even when it fails.
 */
export class FirstBackup extends pulumi.ComponentResource {
  /** Which one, when it was proven, and what is in it. */
  readonly proven: pulumi.Output<string>;

  constructor(name: string, args: FirstBackupArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:FirstBackup", name, {}, opts);
    const { place, database, agent, backend } = args;
    const proof = step(
      `${name}-proof`,
      "prove-first-backup",
      {
        engine: place.engine.host,
        agent: agent.container.name,
        database: database.connection.server,
        volume: database.dataIn,
      },
      { parent: this, dependsOn: [...(backend ? [backend.ready] : []), ...agent.bucketReady] },
    );
    this.proven = proof.stdout;
    this.registerOutputs({ proven: this.proven });
  }
}
