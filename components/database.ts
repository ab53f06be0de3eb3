import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import {
  DATA_FOLDER,
  databaseImage,
  dataFolderVariables,
  type MajorVersion,
} from "../shared/database-image.ts";
import { LABEL } from "../shared/labels.ts";
import { containerName, DATABASE_USER, databaseVolumeName } from "../shared/names.ts";
import type { ReplicaAccess } from "../shared/replica-access.ts";
import { capabilities, healthcheck, memoryLimit } from "./containers/inputs.ts";
import { generatedSecret } from "./containers/password.ts";
import { containerBase, containerOptions, imageName, labelsOfStack, type Place } from "./containers/place.ts";
import { pulledImage } from "./images/pulled-image.ts";
import type { Credentials } from "./replicas/key-pairs.ts";
import { step } from "./steps/step.ts";

export interface DatabaseArgs {
  place: Place;
  /** The one database that must be in the volume, e.g. budgie_dev. */
  databaseName: string;
  /** Of PostgreSQL; the volume must be of the same, or empty. */
  version: MajorVersion;
  /** The password of the role `budgie_user`. @default generated once and kept in the state */
  password?: pulumi.Output<string> | undefined;
  /** Whether to set and prove the password although it is the one of the last `up`. */
  passwordAgain: boolean;
  /** A port of 127.0.0.1. @default not published */
  port?: number | undefined;
  /**
   * How many seconds PostgreSQL gets to shut down before it is killed. The provider reads it from the state of the *last*
   * `up`: it must be deployed before it helps.
   */
  destroyGraceSeconds: number;
  /** Variables that the image reads when it fills a new volume. */
  newVolume: readonly string[];
  /** Whether the backup agent may receive the WAL. */
  pointInTime: boolean;
  memoryMegabytes: number;
  /** The replicas, and where they reach the database. @default none */
  replicas?: DatabaseReplicas | undefined;
  /** What must be done before the container is made or touched. */
  after: pulumi.Resource;
}

export interface DatabaseReplicas extends ReplicaAccess {
  address: string;
  port: number;
  credentials: Credentials;
}

/** How others reach a database. */
export interface DatabaseConnection {
  host: pulumi.Input<string>;
  port: number;
  name: string;
  user: string;
  password: pulumi.Output<string>;
  /** The server's own: its container's id, or Amazon's. Another one may have another database in it. */
  server: pulumi.Output<string>;
  /** What to depend on: when it is there, the database answers and takes this password. */
  ready: pulumi.Resource;
  /** Where the server is Amazon's; undefined for a container in the stack's own network. */
  managed?: { kind: "rds" | "aurora"; rootCertificates: string } | undefined;
}

/** A stack's database, wherever its server runs. */
export interface AnyDatabase {
  readonly connection: DatabaseConnection;
  /** What the data is in: the volume's name, or Amazon's for the database. */
  readonly dataIn: pulumi.Output<string>;
}

const PORT = 5432;
const INITIAL_PASSWORD_FILE = "/run/secrets/initial-password";

/** PostgreSQL in a container, on a named volume that outlives the stack. */
export class Database extends pulumi.ComponentResource implements AnyDatabase {
  readonly container: docker.Container;
  readonly volume: docker.Volume;
  readonly image: docker.RemoteImage;
  readonly connection: DatabaseConnection;
  readonly dataIn: pulumi.Output<string>;

  constructor(name: string, args: DatabaseArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:Database", name, {}, opts);
    const { place } = args;
    const password = args.password ?? generatedSecret(`${name}-password`, { parent: this });

    this.volume = createVolume(name, place, this);
    this.dataIn = this.volume.name;
    this.image = createImage(name, args, this);
    this.container = createContainer(name, args, { volume: this.volume, image: this.image }, this);
    const ready = step(
      `${name}-ready`,
      "database-ready",
      {
        engine: place.engine.host,
        container: this.container.id,
        volume: this.volume.name,
        database: args.databaseName,
        user: DATABASE_USER,
        password,
        pointInTime: args.pointInTime,
        // Left out where there are none: then the input is what it was before there could be any.
        ...(args.replicas ? { replicas: args.replicas } : {}),
      },
      { parent: this, again: args.passwordAgain },
    );
    this.connection = {
      host: this.container.name,
      port: PORT,
      name: args.databaseName,
      user: DATABASE_USER,
      password,
      server: this.container.id,
      ready,
    };
    this.registerOutputs({ container: this.container.name, volume: this.volume.name });
  }
}

/**
 * DANGER: this is the data. `retainOnDelete` keeps it through `pulumi destroy` and through a replacement. A new name
 * means a new, empty volume. The option helps only once the state has it: adding it takes one `up` to take effect, and so
 * does removing it.
 */
function createVolume(name: string, place: Place, parent: pulumi.Resource): docker.Volume {
  return new docker.Volume(
    `${name}-volume`,
    {
      name: databaseVolumeName(place.namePrefix),
      labels: labelsOfStack(place),
    },
    {
      parent,
      retainOnDelete: true,
      // Each of these would replace the volume: an adopted one keeps the labels and the driver that it has.
      ignoreChanges: ["labels", "driver", "driverOpts"],
    },
  );
}

function createImage(name: string, { place, version }: DatabaseArgs, parent: pulumi.Resource) {
  return pulledImage(`${name}-image`, imageName(place, databaseImage(version)), place.triggers, { parent });
}

function createContainer(
  name: string,
  args: DatabaseArgs,
  { volume, image }: { volume: docker.Volume; image: docker.RemoteImage },
  parent: pulumi.Resource,
): docker.Container {
  const { place } = args;
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "database", replicasAt(args)),
      name: containerName(place.namePrefix, "database"),
      image: image.imageId,
      envs: [
        `POSTGRES_USER=${DATABASE_USER}`,
        `POSTGRES_DB=${args.databaseName}`,
        `POSTGRES_PASSWORD_FILE=${INITIAL_PASSWORD_FILE}`,
        ...dataFolderVariables(args.version),
        ...args.newVolume,
      ],
      uploads: [initialPassword(name, parent)],
      volumes: [{ volumeName: volume.name, containerPath: DATA_FOLDER }],
      ports: published(args),
      healthcheck: answersQueries(args.databaseName),
      // The image starts as root, to make the volume the user postgres' own, and becomes that user.
      capabilities: capabilities("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"),
      ...memoryLimit(args.memoryMegabytes),
      // Parallel queries and index builds share their memory there; it counts against the limit.
      shmSize: 256,
      destroyGraceSeconds: args.destroyGraceSeconds,
      // Anonymous volumes are not ours to remove with the container that holds the data.
      removeVolumes: false,
    },
    containerOptions(place, "database", parent, [args.after], readBackOtherwise(args)),
  );
}

/** For the policies, which otherwise take a published database for an open one. Nothing where there are none: it would be another container. */
function replicasAt({ replicas }: DatabaseArgs): Record<string, string> {
  return replicas === undefined ? {} : { [LABEL.replicasAt]: `${replicas.address}:${replicas.port}` };
}

function published({ port, replicas }: DatabaseArgs) {
  return [
    ...(port === undefined ? [] : [{ internal: PORT, external: port, ip: "127.0.0.1" }]),
    ...(replicas === undefined ? [] : [{ internal: PORT, external: replicas.port, ip: replicas.address }]),
  ];
}

/** Two that lead to one port are read back in the other order, whichever that was. */
function readBackOtherwise(args: DatabaseArgs): string[] {
  return published(args).length > 1 ? ["ports"] : [];
}

/**
 * The image wants a password when it first fills the volume, and leaves it in the server's environment for ever. It gets
 * one that opens nothing: the step `ready` sets the role's real password as soon as the server answers. So a change of
 * the real one replaces no database container.
 */
function initialPassword(name: string, parent: pulumi.Resource) {
  return {
    file: INITIAL_PASSWORD_FILE,
    content: generatedSecret(`${name}-initial-password`, { parent }),
    permissions: "0400",
  };
}

/**
 * A query over TCP, on the right database. `pg_isready` says yes for a database that does not exist, and the socket is
 * open while the image still prepares a new volume.
 */
function answersQueries(database: string) {
  const command = [
    "psql",
    "-XAtq",
    "-h",
    "127.0.0.1",
    "-U",
    DATABASE_USER,
    "-d",
    database,
    "-c",
    "values(1)",
  ];
  return healthcheck(command, { everySeconds: 10, timeoutSeconds: 5, startSeconds: 30, retries: 3 });
}
