import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ManagedSettings } from "../settings/managed-database.ts";
import type { MajorVersion } from "../shared/database-image.ts";
import { DATABASE_USER } from "../shared/names.ts";
import { generatedSecret } from "./containers/password.ts";
import type { Place } from "./containers/place.ts";
import type { AnyDatabase, DatabaseConnection } from "./database.ts";
import { finalSnapshotName } from "./managed/final-snapshot.ts";
import { type ManagedLook, type ManagedPart, managedNames, managedTags } from "./managed/parts.ts";

export interface ManagedDatabaseArgs {
  place: Pick<Place, "stack" | "namePrefix">;
  settings: ManagedSettings;
  /** The one database that it begins with, e.g. budgie_dev. */
  databaseName: string;
  /** Of PostgreSQL. */
  version: MajorVersion;
  /** The password of the role `budgie_user`. @default generated once and kept in the state */
  password?: pulumi.Output<string> | undefined;
  /** One that is there already is taken over. */
  look: ManagedLook;
}

const PORT = 5432;
/** What the server says of itself can be read with Amazon's tools. */
const SERVER_LOG = "postgresql";

/**
 * PostgreSQL that Amazon runs, RDS or Aurora: encrypted, not public, with TLS and nothing else.
 *
 * INVARIANT: Pulumi deletes no data. `pulumi destroy` leaves the database (`retainOnDelete`), the next `up` takes it over
 * again, and Amazon itself refuses to delete it (`deletionProtection`). Whatever would replace it fails, because two cannot
 * have one name. Whoever deletes it by hand, leaves a snapshot.
 */
export class ManagedDatabase extends pulumi.ComponentResource implements AnyDatabase {
  readonly connection: DatabaseConnection;
  readonly dataIn: pulumi.Output<string>;

  constructor(name: string, args: ManagedDatabaseArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("budgie:stack:ManagedDatabase", name, {}, opts);
    const { settings, databaseName } = args;
    const password = args.password ?? generatedSecret(`${name}-password`, { parent: this });
    const { withoutCredentials } = args.look;
    const provider = new aws.Provider(
      `${name}-provider`,
      { region: settings.region, ...(withoutCredentials ? FOR_A_PREVIEW : {}) },
      { parent: this },
    );
    const on: On = { name, args, password, parent: { parent: this, provider } };
    const server = settings.kind === "rds" ? createInstance(on) : createCluster(on);
    this.dataIn = pulumi.output(managedNames(args.place, args.version).data);
    this.connection = {
      host: server.host,
      port: PORT,
      name: databaseName,
      user: DATABASE_USER,
      password,
      server: server.id,
      ready: server.ready,
      managed: { kind: settings.kind, rootCertificates: settings.rootCertificates },
    };
    this.registerOutputs({ host: server.host });
  }
}

/** On a machine without credentials a preview gets made-up ones: it asks nobody, and without any the provider would refuse. */
const FOR_A_PREVIEW = {
  accessKey: "preview",
  secretKey: "preview",
  skipCredentialsValidation: true,
  skipMetadataApiCheck: true,
  skipRegionValidation: true,
  skipRequestingAccountId: true,
};

/** What every part of it is declared with. */
interface On {
  name: string;
  args: ManagedDatabaseArgs;
  password: pulumi.Output<string>;
  parent: { parent: pulumi.Resource; provider: aws.Provider };
}

interface Server {
  host: pulumi.Output<string>;
  /** Another one may have another database in it. */
  id: pulumi.Output<string>;
  ready: pulumi.Resource;
}

/** RDS for PostgreSQL. */
function createInstance(on: On): Server {
  const { name, args, password } = on;
  const { settings } = args;
  const { identifier, shared } = everyServer(on);
  const parameters = new aws.rds.ParameterGroup(
    `${name}-parameters`,
    onlyTls(args, "postgres"),
    keptBeyond(on, "parameters"),
  );
  const instance = new aws.rds.Instance(
    `${name}-instance`,
    {
      ...shared,
      identifier,
      engine: "postgres",
      dbName: args.databaseName,
      username: DATABASE_USER,
      password,
      instanceClass: settings.instanceClass,
      allocatedStorage: settings.storage.gigabytes,
      maxAllocatedStorage: settings.storage.atMostGigabytes,
      storageType: "gp3",
      multiAz: settings.multiAz,
      publiclyAccessible: false,
      autoMinorVersionUpgrade: true,
      deleteAutomatedBackups: false,
      parameterGroupName: parameters.name,
      enabledCloudwatchLogsExports: [SERVER_LOG, "upgrade"],
    },
    keptBeyond(on, "data"),
  );
  return { host: instance.address, id: instance.resourceId, ready: instance };
}

/** Aurora PostgreSQL: the data is the cluster's, and outlives its instances. `pulumi destroy` removes those. */
function createCluster(on: On): Server {
  const { name, args, password } = on;
  const { settings } = args;
  const { identifier, shared } = everyServer(on);
  const parameters = new aws.rds.ClusterParameterGroup(
    `${name}-parameters`,
    onlyTls(args, "aurora-postgresql"),
    keptBeyond(on, "parameters"),
  );
  const cluster = new aws.rds.Cluster(
    `${name}-cluster`,
    {
      ...shared,
      clusterIdentifier: identifier,
      engine: "aurora-postgresql",
      databaseName: args.databaseName,
      masterUsername: DATABASE_USER,
      masterPassword: password,
      dbClusterParameterGroupName: parameters.name,
      enabledCloudwatchLogsExports: [SERVER_LOG],
    },
    keptBeyond(on, "data"),
  );
  const instance = (number: number) =>
    new aws.rds.ClusterInstance(
      `${name}-instance-${number}`,
      {
        identifier: `${identifier}-${number}`,
        clusterIdentifier: cluster.id,
        engine: "aurora-postgresql",
        instanceClass: settings.instanceClass,
        publiclyAccessible: false,
        autoMinorVersionUpgrade: true,
        applyImmediately: true,
        tags: managedTags(args.place),
      },
      on.parent,
    );
  const ready = instance(1);
  if (settings.multiAz) instance(2);
  return { host: cluster.endpoint, id: cluster.clusterResourceId, ready };
}

/** What RDS and Aurora are told in the same words. */
function everyServer(on: On) {
  const { settings, version, place } = on.args;
  const identifier = managedNames(place, version).data;
  return {
    identifier,
    shared: {
      // Its newest minor version; Amazon goes on to later ones by itself.
      engineVersion: version,
      storageEncrypted: true,
      deletionProtection: true,
      backupRetentionPeriod: settings.snapshotDays,
      copyTagsToSnapshot: true,
      skipFinalSnapshot: false,
      finalSnapshotIdentifier: finalSnapshotName(`${on.name}-final-snapshot`, identifier, on.parent.parent),
      applyImmediately: true,
      tags: managedTags(place),
      ...(settings.subnets.length === 0 ? {} : { dbSubnetGroupName: subnetGroup(on).name }),
      ...(settings.securityGroups.length === 0 ? {} : { vpcSecurityGroupIds: [...settings.securityGroups] }),
    },
  };
}

/** The server takes no connection without TLS, whatever the client wants. */
function onlyTls({ place, version }: ManagedDatabaseArgs, family: string) {
  return {
    name: managedNames(place, version).parameters,
    family: `${family}${version}`,
    description: "Budgie: TLS and nothing else",
    parameters: [{ name: "rds.force_ssl", value: "1" }],
    tags: managedTags(place),
  };
}

function subnetGroup(on: On): aws.rds.SubnetGroup {
  const { place, version, settings } = on.args;
  return new aws.rds.SubnetGroup(
    `${on.name}-subnets`,
    {
      name: managedNames(place, version).subnets,
      description: "Budgie: where the database is",
      subnetIds: [...settings.subnets],
      tags: managedTags(place),
    },
    keptBeyond(on, "subnets"),
  );
}

/**
 * DANGER: the data, and what Amazon does not remove as long as the data uses it. The options take effect with the `up` that
 * first has them. One that an earlier `up` has left is taken over as it is; what is otherwise is changed by the next `up`.
 */
function keptBeyond({ args, parent }: On, part: ManagedPart): pulumi.CustomResourceOptions {
  const { place, version, look } = args;
  const left = look.left.includes(part);
  return {
    ...parent,
    retainOnDelete: true,
    ...(left ? { import: managedNames(place, version)[part], ignoreChanges: ["*"] } : {}),
  };
}
