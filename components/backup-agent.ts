import type { types } from "@pulumi/docker";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { spelling } from "../engine/differences.ts";
import type { BackupPolicy } from "../settings/backup-policy.ts";
import type { SshSettings } from "../settings/offsite.ts";
import type { RefreshFrom } from "../settings/refresh.ts";
import type { Settings } from "../settings.ts";
import { agentEnvironment, type ToldSettings } from "../shared/agent-environment.ts";
import { REFRESH_DIRECTORY } from "../shared/agent-settings.ts";
import type { BackupFormat } from "../shared/backup-format.ts";
import { DEFAULT_DATABASE_IMAGE, databaseImage, type MajorVersion } from "../shared/database-image.ts";
import { LABEL } from "../shared/labels.ts";
import { backupRecordsVolumeName, builtImageName, containerName } from "../shared/names.ts";
import { TLS_FILES } from "../shared/replica-access.ts";
import { stackVersion } from "../shared/stack-version.ts";
import type { BackupPlace } from "./containers/backup-place.ts";
import { capabilities, healthcheck, memoryLimit } from "./containers/inputs.ts";
import { manifestKey } from "./containers/password.ts";
import { containerBase, containerOptions, labelsOfStack, type Place } from "./containers/place.ts";
import type { DatabaseConnection } from "./database.ts";
import { AGENT_FILES } from "./images/agent-files.ts";
import { bundle } from "./images/bundle.ts";
import type { OffsiteStore } from "./offsite/store.ts";
import type { Credentials } from "./replicas/key-pairs.ts";
import { step } from "./steps/step.ts";

export interface BackupAgentArgs {
  place: Place;
  database: DatabaseConnection;
  /** Of PostgreSQL: its programs are the agent's too. */
  postgresVersion: MajorVersion;
  backupPlace: BackupPlace;
  format: BackupFormat;
  policy: BackupPolicy;
  /** The age public keys that copies are encrypted to. */
  recipients: readonly string[];
  /** How many seconds a backup that is being written gets to end. */
  destroyGraceSeconds: number;
  databaseMemoryMegabytes: number;
  /** Who is told of backups and of what is wrong. @default nobody */
  alerts?: Settings["alerts"];
  /** The port of 127.0.0.1 on which it shows how things stand. @default none */
  statusPort?: number | undefined;
  /** The bucket that every backup is sent to. @default none */
  bucket?: OffsiteStore | undefined;
  /** The replica that backups are read from. @default none: the database itself */
  standby?: ReadableReplica | undefined;
  /** What the bucket's store does not do, one sentence each, for the status. */
  storeLacks: readonly string[];
  /** Whether the stack has an API of its own. */
  hasApi: boolean;
  /** The machine that every backup is sent to over ssh. @default none */
  ssh?: SshSettings | undefined;
  /** The stack whose data takes the place of this one's. @default none */
  refresh?: RefreshFrom | undefined;
  /** The folder with that stack's backups, absolute on the engine's machine. @default none */
  refreshDirectory?: string | undefined;
}

/** A replica, as the agent reaches it. */
export interface ReadableReplica {
  address: string;
  port: number;
  credentials: Credentials;
}

const PASSFILE = "/run/secrets/pgpass";
const DATABASE_ROOTS_FILE = "/run/secrets/database-roots.pem";
const MANIFEST_KEY_FILE = "/run/secrets/manifest-key";
const S3_WRITER_FILE = "/run/secrets/s3-writer.json";
const ALERTS_FILE = "/run/secrets/alerts.json";
const SSH_KEY_FILE = "/run/secrets/ssh-key";
const REFRESH_MASK_FILE = "/run/secrets/refresh-mask.sql";
const REFRESH_READER_FILE = "/run/secrets/refresh-reader.json";
const REFRESH_SSH_KEY_FILE = "/run/secrets/refresh-ssh-key";
const REFRESH_IDENTITY_FILE = "/run/secrets/refresh-identity";
const STANDBY_TLS_FOLDER = "/run/secrets/standby";
const BACKUPS = "/backups";
const RECORDS = "/records";
/** What the agent itself needs, beside a throw-away server that is given as much as the database has. */
const OWN_MEMORY_MEGABYTES = 512;

/** The container beside the database in which every backup and restore happens. */
export class BackupAgent extends pulumi.ComponentResource {
  readonly container: docker.Container;
  /** What to depend on: when it is there, the database is the one that the stack's backups came from. */
  readonly databaseIdentity: pulumi.Resource;
  /** What to depend on: when they are there, backups can be sent to the bucket. */
  readonly bucketReady: pulumi.Resource[];

  constructor(name: string, args: BackupAgentArgs, opts: pulumi.ComponentResourceOptions) {
    super("budgie:stack:BackupAgent", name, {}, opts);
    const image = createImage(name, args, this);
    const records = createRecords(name, args.place, this);
    this.container = createContainer(name, args, image, records, this);
    this.databaseIdentity = step(
      `${name}-database-identity`,
      "database-identity",
      { engine: args.place.engine.host, container: this.container.id, database: args.database.server },
      { parent: this },
    );
    const { ready = [], setUpFrom } = args.bucket ?? {};
    this.bucketReady = setUpFrom ? [...ready, setUpFrom(this.container)] : ready;
    this.registerOutputs({ container: this.container.name });
  }
}

function createImage(
  name: string,
  { place, postgresVersion }: Pick<BackupAgentArgs, "place" | "postgresVersion">,
  parent: pulumi.Resource,
): docker.RemoteImage {
  const program = { entry: "agent/main.ts", file: "agent.cjs", beside: [...AGENT_FILES] };
  const image = databaseImage(postgresVersion);
  const isDefault = image === DEFAULT_DATABASE_IMAGE;
  const froms = isDefault
    ? place.pins
    : new Map([...place.pins, [DEFAULT_DATABASE_IMAGE, place.pins.get(image) ?? image]]);
  // In a folder of its own: a stack of another version may be building at this moment.
  const { context, hash } = bundle(isDefault ? "agent" : `agent-${postgresVersion}`, program, froms);
  return new docker.RemoteImage(
    `${name}-image`,
    {
      name: spelling(place.engine.kind).builtImage(builtImageName(place.namePrefix, "backup-agent", hash)),
      build: { context, dockerfile: "Dockerfile", useLegacyBuilder: true },
      triggers: { content: hash },
      keepLocally: true,
    },
    { parent },
  );
}

/** Which backups there are is noted here. So they are missed when they are gone, even with the whole backup directory. */
function createRecords(name: string, place: Place, parent: pulumi.Resource): docker.Volume {
  return new docker.Volume(
    `${name}-records`,
    { name: backupRecordsVolumeName(place.namePrefix), labels: labelsOfStack(place) },
    // The backups outlive the stack, and so what is known of them does too.
    { parent, retainOnDelete: true, ignoreChanges: ["labels", "driver", "driverOpts"] },
  );
}

/** DANGER: these are the backups. Like the data, a volume of them is kept through `pulumi destroy` and a replacement. */
function backupsMount(
  name: string,
  { place, backupPlace: { source, isVolume } }: Pick<BackupAgentArgs, "place" | "backupPlace">,
  parent: pulumi.Resource,
): docker.types.input.ContainerVolume {
  if (!isVolume) return { hostPath: source, containerPath: BACKUPS, ...spelling(place.engine.kind).bind };
  const volume = new docker.Volume(
    `${name}-backups`,
    { name: source, labels: labelsOfStack(place) },
    { parent, retainOnDelete: true, ignoreChanges: ["labels", "driver", "driverOpts"] },
  );
  return { volumeName: volume.name, containerPath: BACKUPS };
}

function createContainer(
  name: string,
  args: BackupAgentArgs,
  image: docker.RemoteImage,
  records: docker.Volume,
  parent: pulumi.Resource,
): docker.Container {
  const { place, database } = args;
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "backup-agent", {
        [LABEL.backupDir]: args.backupPlace.source,
        [LABEL.backupDirShown]: args.backupPlace.shown,
        [LABEL.objectStore]: args.bucket?.kind ?? "none",
        // Only where there is none: another label means another container, and older stacks have this one.
        ...(database.managed ? { [LABEL.managed]: database.managed.kind } : {}),
        ...(args.hasApi ? {} : { [LABEL.withoutApi]: "true" }),
      }),
      name: containerName(place.namePrefix, "backup-agent"),
      image: image.imageId,
      envs: agentEnvironment(toldSettings(args)).map(([name, value]) =>
        typeof value === "string" ? `${name}=${value}` : pulumi.interpolate`${name}=${value}`,
      ),
      uploads: [
        { file: PASSFILE, content: database.password.apply(passfile), permissions: "0400" },
        {
          file: MANIFEST_KEY_FILE,
          content: manifestKey(`${name}-manifest-key`, place.stack, { parent }),
          permissions: "0400",
        },
        // The programs that read it have a user of their own. It is no secret.
        ...(database.managed
          ? [
              {
                file: DATABASE_ROOTS_FILE,
                content: database.managed.rootCertificates,
                permissions: "0444",
              },
            ]
          : []),
        ...(args.bucket
          ? [{ file: S3_WRITER_FILE, content: pulumi.jsonStringify(args.bucket.writer), permissions: "0400" }]
          : []),
        ...(hasAlerts(args)
          ? [{ file: ALERTS_FILE, content: alertsContent(args), permissions: "0400" }]
          : []),
        ...(args.ssh ? [{ file: SSH_KEY_FILE, content: args.ssh.key, permissions: "0400" }] : []),
        ...standbyFiles(args.standby),
        ...refreshFiles(args.refresh),
      ],
      ...publishedOn(args.statusPort),
      volumes: [
        backupsMount(name, args, parent),
        { volumeName: records.name, containerPath: RECORDS },
        ...refreshMount(args),
      ],
      // DESTROYS its unnamed volume, where throw-away servers were: what a killed drill has left of the data in it goes along.
      removeVolumes: true,
      // It runs as root: it gives files to the backup directory's owner, and starts throw-away servers as the user
      // postgres.
      capabilities: capabilities("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"),
      ...memoryLimit(args.databaseMemoryMegabytes + OWN_MEMORY_MEGABYTES),
      healthcheck: judgesItselfFine(),
      init: true,
      destroyGraceSeconds: args.destroyGraceSeconds,
    },
    containerOptions(place, "backup-agent", parent, [database.ready, ...(args.bucket?.ready ?? [])]),
  );
}

function standbyFiles(standby: ReadableReplica | undefined): types.input.ContainerUpload[] {
  if (standby === undefined) return [];
  return Object.entries(TLS_FILES).map(([kind, name]) => ({
    file: `${STANDBY_TLS_FOLDER}/${name}`,
    content: standby.credentials[kind as keyof Credentials],
    permissions: "0400",
  }));
}

/** A change of one of them makes the container anew, as it does for every other file. */
function refreshFiles(refresh: RefreshFrom | undefined): types.input.ContainerUpload[] {
  if (refresh === undefined) return [];
  const { mask, reader, identity, ssh } = refresh;
  const permissions = "0400";
  return [
    { file: REFRESH_MASK_FILE, content: mask.content, permissions },
    ...(reader ? [{ file: REFRESH_READER_FILE, content: pulumi.jsonStringify(reader), permissions }] : []),
    ...(ssh ? [{ file: REFRESH_SSH_KEY_FILE, content: ssh.key, permissions }] : []),
    ...(identity ? [{ file: REFRESH_IDENTITY_FILE, content: identity, permissions }] : []),
  ];
}

/** The other stack's backups are read there, and never changed. */
function refreshMount({ place, refreshDirectory: hostPath }: BackupAgentArgs): types.input.ContainerVolume[] {
  if (hostPath === undefined) return [];
  return [
    { hostPath, containerPath: REFRESH_DIRECTORY, readOnly: true, ...spelling(place.engine.kind).bind },
  ];
}

/** The same number inside, so that what the agent says of its address is true. */
function publishedOn(port: number | undefined): Pick<docker.ContainerArgs, "ports"> {
  return port === undefined ? {} : { ports: [{ internal: port, external: port, ip: "127.0.0.1" }] };
}

/**
 * The agent writes down what `npx budgie status` would say. The healthcheck only reads that, which costs next to nothing.
 */
function judgesItselfFine() {
  // The first backup has to be taken before all is well.
  return healthcheck(["budgie-healthy"], {
    everySeconds: 30,
    timeoutSeconds: 5,
    startSeconds: 300,
    retries: 5,
  });
}

function toldSettings(args: BackupAgentArgs): ToldSettings<pulumi.Input<string>> {
  const { place, database, policy, bucket, ssh } = args;
  return {
    host: database.host,
    port: database.port,
    user: database.user,
    database: database.name,
    passfile: PASSFILE,
    stack: place.stack,
    stackVersion: stackVersion(),
    manifestKeyFile: MANIFEST_KEY_FILE,
    backupDir: BACKUPS,
    backupDirShown: args.backupPlace.shown,
    recordsDir: RECORDS,
    format: args.format,
    recipients: args.recipients,
    schedule: {
      expression: policy.schedule ?? null,
      timeZone: policy.timeZone,
      jitterSeconds: policy.jitterSeconds,
    },
    keep: policy.keep,
    pointInTime: policy.pointInTime,
    // Beyond it the database's container is killed, so the agent refuses what would need more. Some kernels limit nothing.
    databaseMemoryMegabytes:
      place.dropped.includes("memory") || database.managed ? null : args.databaseMemoryMegabytes,
    standby: args.standby
      ? { host: args.standby.address, port: args.standby.port, tlsFolder: STANDBY_TLS_FOLDER }
      : null,
    managed: database.managed ? { rootFile: DATABASE_ROOTS_FILE } : null,
    statusPort: args.statusPort ?? null,
    alertsFile: hasAlerts(args) ? ALERTS_FILE : null,
    offsite: bucket ? toldBucket(bucket, args.storeLacks) : null,
    ssh: ssh ? { target: ssh.target, keyFile: SSH_KEY_FILE, hostKey: ssh.hostKey } : null,
    refresh: args.refresh ? toldRefresh(args.refresh) : null,
  };
}

function toldBucket(bucket: OffsiteStore, lacks: readonly string[]) {
  const { kind, prefix, region, endpoint, pathStyle } = bucket;
  return {
    kind,
    bucket: bucket.bucket,
    prefix,
    region,
    endpoint: endpoint ?? null,
    pathStyle,
    lacks: [...lacks],
    writerFile: S3_WRITER_FILE,
  };
}

function toldRefresh({ stack, source, schedule, mask, reader, identity, ssh }: RefreshFrom) {
  return {
    fromStack: stack,
    source,
    expression: schedule ?? null,
    maskShown: mask.shown,
    maskFile: REFRESH_MASK_FILE,
    readerFile: reader ? REFRESH_READER_FILE : null,
    identityFile: identity ? REFRESH_IDENTITY_FILE : null,
    ssh: ssh ? { keyFile: REFRESH_SSH_KEY_FILE, hostKey: ssh.hostKey } : null,
  };
}

function hasAlerts({ alerts }: BackupAgentArgs): boolean {
  return alerts?.heartbeat !== undefined || alerts?.urls !== undefined;
}

/** The addresses have tokens in them. */
function alertsContent({ alerts }: BackupAgentArgs): pulumi.Output<string> {
  const content = { heartbeat: alerts?.heartbeat ?? "", alerts: alerts?.urls ?? "" };
  return pulumi.secret(pulumi.jsonStringify(content));
}

/** A libpq passfile that answers to every server: the agent also talks to throw-away ones. */
export function passfile(password: string): string {
  return `*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`;
}
