import * as pulumi from "@pulumi/pulumi";
import type { PostgresWithBackupsArgs } from "./args.ts";
import { declareParts } from "./declare-parts.ts";

/**
 * PostgreSQL in a container, on a volume that outlives it, with a backup agent beside it, a store for copies of the backups, and gates
 * that take a backup before Pulumi replaces or removes the database. An application is optional.
 */
export class PostgresWithBackups extends pulumi.ComponentResource {
  /** What the database is called in its network. Known once it answers and is the one that its backups came from. */
  readonly host: pulumi.Output<string>;
  readonly port: pulumi.Output<number>;
  readonly databaseName: pulumi.Output<string>;
  readonly user: pulumi.Output<string>;
  /** A secret. */
  readonly password: pulumi.Output<string>;
  /** postgresql://…, with the password: a secret. */
  readonly connectionUri: pulumi.Output<string>;
  /** The network that an application of the program's own must join. */
  readonly networkName: pulumi.Output<string>;
  /** The volume with the data, which stays when all of this is destroyed. */
  readonly volumeName: pulumi.Output<string>;
  /** Where the backups are, on the container engine's machine. */
  readonly backupDirectory: pulumi.Output<string>;
  /** The first backup: which one, and when it was proven; empty where no backups are taken by themselves. */
  readonly firstBackup: pulumi.Output<string>;
  /** Where the application answers; empty where there is none. */
  readonly url: pulumi.Output<string>;
  /** A key that reads the bucket, and cannot change it where the store has such keys; empty where there is no bucket. */
  readonly bucketReaderId: pulumi.Output<string>;
  /** A secret. */
  readonly bucketReaderSecret: pulumi.Output<string>;

  constructor(name: string, args: PostgresWithBackupsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("budgie:index:PostgresWithBackups", name, {}, opts);
    const made = declareParts(this, name, args);
    const given = <T>(what: (parts: Awaited<typeof made>) => pulumi.Input<T>): pulumi.Output<T> =>
      pulumi.output(made.then(parts => pulumi.output(what(parts)))) as pulumi.Output<T>;
    this.host = given(({ host }) => host);
    this.port = given(({ port }) => port);
    this.databaseName = given(({ databaseName }) => databaseName);
    this.user = given(({ user }) => user);
    this.password = pulumi.secret(given(({ password }) => password));
    this.connectionUri = pulumi.secret(given(({ connectionUri }) => connectionUri));
    this.networkName = given(({ networkName }) => networkName);
    this.volumeName = given(({ volumeName }) => volumeName);
    this.backupDirectory = given(({ backupDirectory }) => backupDirectory);
    this.firstBackup = given(({ firstBackup }) => firstBackup);
    this.url = given(({ url }) => url);
    this.bucketReaderId = given(({ bucketReaderId }) => bucketReaderId);
    this.bucketReaderSecret = pulumi.secret(given(({ bucketReaderSecret }) => bucketReaderSecret));
    this.registerOutputs({});
  }
}
