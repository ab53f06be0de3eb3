import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { spelling } from "../engine/differences.ts";
import type { Engine } from "../engine/find-engine.ts";
import type { DroppedInput } from "../engine/traits.ts";
import { DATA_FOLDER, databaseImage, type MajorVersion } from "../shared/database-image.ts";
import { LABEL } from "../shared/labels.ts";
import { DATABASE_USER, databaseVolumeName, networkName, replicaContainerName } from "../shared/names.ts";
import { PROJECT_FOLDER } from "../shared/project-folder.ts";
import { TLS_FILES } from "../shared/replica-access.ts";
import { REPLICA_ROLE, replicaSlot } from "../shared/replica-name.ts";
import { capabilities, healthcheck, memoryLimit } from "./containers/inputs.ts";
import { changedAs, kept, labelsOf, labelsOfStack, type Place } from "./containers/place.ts";
import { engineProvider } from "./containers/provider.ts";
import { type ImageTriggers, pulledImage } from "./images/pulled-image.ts";
import type { Credentials } from "./replicas/key-pairs.ts";

export interface ReplicaArgs {
  place: Pick<Place, "stack" | "namePrefix" | "pins">;
  /** Of the other machine. */
  engine: Engine;
  dropped: readonly DroppedInput[];
  /** What tells it from the others. */
  replica: string;
  /** Of PostgreSQL; the database's. */
  version: MajorVersion;
  triggers: ImageTriggers;
  /** Where the database is reached from there. */
  database: { address: string; port: number; ready: pulumi.Resource };
  credentials: Credentials;
  /** The port of 127.0.0.1 of that machine on which it is read. @default none */
  readPort: number | undefined;
  /** Where the backup agent reads backups from it, over TLS. @default nowhere */
  backupsAt: { address: string; port: number } | undefined;
  memoryMegabytes: number;
  destroyGraceSeconds: number;
}

const PORT = 5432;
const PROGRAM = "/usr/local/bin/budgie-replica";
const SECRETS = "/run/secrets/replication";

/** A copy of the database on another machine that follows every change and can be read. */
export class Replica extends pulumi.ComponentResource {
  readonly container: docker.Container;
  readonly image: docker.RemoteImage;

  constructor(name: string, args: ReplicaArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:Replica", name, {}, opts);
    const provider = engineProvider(`${name}-engine`, args.engine, { parent: this });
    const on = { parent: this, provider };
    const network = new docker.Network(
      `${name}-network`,
      { name: networkName(args.place.namePrefix), labels: labelsOfStack(args.place) },
      { ...on, ignoreChanges: spelling(args.engine.kind).networkIgnores },
    );
    const volume = createVolume(name, args, on);
    this.image = createImage(name, args, on);
    this.container = createContainer(name, args, { network, volume, image: this.image }, on);
    this.registerOutputs({ container: this.container.name, volume: volume.name });
  }
}

interface On {
  parent: pulumi.Resource;
  provider: docker.Provider;
}

/** DANGER: after a failover this is the data. So it is called and kept like the database's own volume, which is on another machine. */
function createVolume(name: string, { place }: ReplicaArgs, on: On): docker.Volume {
  return new docker.Volume(
    `${name}-volume`,
    { name: databaseVolumeName(place.namePrefix), labels: labelsOfStack(place) },
    { ...on, retainOnDelete: true, ignoreChanges: ["labels", "driver", "driverOpts"] },
  );
}

function createImage(name: string, { place, engine, version, triggers }: ReplicaArgs, on: On) {
  const image = databaseImage(version);
  const known = place.pins.get(image) ?? spelling(engine.kind).image(image);
  return pulledImage(`${name}-image`, known, triggers, on);
}

function createContainer(
  name: string,
  args: ReplicaArgs,
  made: { network: docker.Network; volume: docker.Volume; image: docker.RemoteImage },
  on: On,
): docker.Container {
  const { place, engine, database, backupsAt } = args;
  return new docker.Container(
    `${name}-container`,
    {
      ...kept(engine),
      networksAdvanced: [{ name: made.network.name }],
      labels: [...labelsOfStack(place), ...labelsOf({ [LABEL.replica]: args.replica })],
      name: replicaContainerName(place.namePrefix),
      image: made.image.imageId,
      entrypoints: [PROGRAM],
      command: ["run"],
      envs: [
        `BUDGIE_DATABASE_HOST=${database.address}`,
        `BUDGIE_DATABASE_PORT=${database.port}`,
        `BUDGIE_REPLICA_ROLE=${REPLICA_ROLE}`,
        `BUDGIE_SLOT=${replicaSlot(args.replica)}`,
        `BUDGIE_USER=${DATABASE_USER}`,
        // Only where it is so: another environment means another container, and older stacks have this one.
        ...(backupsAt ? ["BUDGIE_BACKUPS=true"] : []),
      ],
      uploads: [{ file: PROGRAM, content: program(), permissions: "0755" }, ...secrets(args.credentials)],
      volumes: [{ volumeName: made.volume.name, containerPath: DATA_FOLDER }],
      ports: published(args),
      // The first copy takes as long as the database is large.
      healthcheck: healthcheck([PROGRAM, "healthy"], {
        everySeconds: 30,
        timeoutSeconds: 10,
        startSeconds: 300,
        retries: 5,
      }),
      // As the database's; and it ends its own server, which runs as another user.
      capabilities: capabilities("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"),
      ...memoryLimit(args.memoryMegabytes),
      shmSize: 256,
      destroyGraceSeconds: args.destroyGraceSeconds,
      removeVolumes: false,
    },
    {
      ...on,
      dependsOn: [database.ready],
      ...changedAs(engine, args.dropped),
      deleteBeforeReplace: true,
    },
  );
}

function published({ readPort, backupsAt }: ReplicaArgs) {
  return [
    ...(readPort === undefined ? [] : [{ internal: PORT, external: readPort, ip: "127.0.0.1" }]),
    ...(backupsAt === undefined ? [] : [{ internal: PORT, external: backupsAt.port, ip: backupsAt.address }]),
  ];
}

function program(): string {
  return readFileSync(join(PROJECT_FOLDER, "components/replicas/run-replica.sh"), "utf8");
}

function secrets(credentials: Credentials) {
  return Object.entries(TLS_FILES).map(([kind, name]) => ({
    file: `${SECRETS}/${name}`,
    content: credentials[kind as keyof Credentials],
    permissions: "0400",
  }));
}
