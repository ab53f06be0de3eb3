import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { BackupFormat } from "../agent/backup-format.ts";
import type { BackupPolicy } from "./backup-policy-settings.ts";
import { bundle } from "./bundle.ts";
import { capabilities } from "./capabilities.ts";
import type { DatabaseConnection } from "./database.ts";
import { spelling } from "./engine.ts";
import { healthcheck } from "./healthcheck.ts";
import { memoryLimit } from "./memory-limit.ts";
import type { SshSettings } from "./offsite-settings.ts";
import type { OffsiteStore } from "./offsite-store.ts";
import { containerBase, containerOptions, type Place } from "./place.ts";
import { step } from "./step.ts";

export interface BackupAgentArgs {
  place: Place;
  database: DatabaseConnection;
  /** Absolute, on the engine's machine. */
  backupDir: string;
  /** The same place as the operator wrote it, e.g. ./backups, for what is printed. */
  backupDirShown: string;
  format: BackupFormat;
  policy: BackupPolicy;
  /** The age public keys that copies are encrypted to. */
  recipients: readonly string[];
  /** How many seconds a backup that is being written gets to end. */
  destroyGraceSeconds: number;
  databaseMemoryMegabytes: number;
  /** The bucket that every backup is sent to. @default none */
  bucket?: OffsiteStore | undefined;
  /** What the bucket's store does not do, one sentence each, for the status. */
  storeLacks: readonly string[];
  /** The machine that every backup is sent to over ssh. @default none */
  ssh?: SshSettings | undefined;
}

const PASSFILE = "/run/secrets/pgpass";
const S3_WRITER_FILE = "/run/secrets/s3-writer.json";
const SSH_KEY_FILE = "/run/secrets/ssh-key";
const BACKUPS = "/backups";
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
    const image = createImage(name, args.place, this);
    this.container = createContainer(name, args, image, this);
    this.databaseIdentity = step(
      `${name}-database-identity`,
      "database-identity",
      { engine: args.place.engine.host, container: this.container.id, database: args.database.container },
      { parent: this },
    );
    const { ready = [], setUpFrom } = args.bucket ?? {};
    this.bucketReady = setUpFrom ? [...ready, setUpFrom(this.container)] : ready;
    this.registerOutputs({ container: this.container.name });
  }
}

function createImage(name: string, place: Place, parent: pulumi.Resource): docker.RemoteImage {
  const beside = ["Dockerfile", "budgie-agent", "budgie-healthy"].map(file => `agent/${file}`);
  const program = { entry: "agent/main.ts", file: "agent.cjs", beside };
  const { context, hash } = bundle("agent", program, place.pins);
  return new docker.RemoteImage(
    `${name}-image`,
    {
      name: spelling(place.engine.kind).builtImage(`${place.namePrefix}-backup:${hash.slice(0, 12)}`),
      build: { context, dockerfile: "Dockerfile", useLegacyBuilder: true },
      triggers: { content: hash },
      keepLocally: true,
    },
    { parent },
  );
}

function createContainer(
  name: string,
  args: BackupAgentArgs,
  image: docker.RemoteImage,
  parent: pulumi.Resource,
): docker.Container {
  const { place, database } = args;
  const offsite = offsiteOf(args);
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "backup-agent", {
        "budgie.backup-dir": args.backupDir,
        "budgie.backup-dir-shown": args.backupDirShown,
        "budgie.object-store": args.bucket?.kind ?? "none",
      }),
      name: `${place.namePrefix}-backup`,
      image: image.imageId,
      envs: [
        pulumi.interpolate`PGHOST=${database.host}`,
        `PGPORT=${database.port}`,
        `PGUSER=${database.user}`,
        `PGDATABASE=${database.name}`,
        `PGPASSFILE=${PASSFILE}`,
        `BUDGIE_STACK=${place.stack}`,
        `BUDGIE_BACKUP_DIR=${BACKUPS}`,
        `BUDGIE_BACKUP_DIR_SHOWN=${args.backupDirShown}`,
        `BUDGIE_BACKUP_FORMAT=${args.format}`,
        ...policyOf(args.policy),
        ...(args.recipients.length === 0 ? [] : [`BUDGIE_BACKUP_RECIPIENTS=${args.recipients.join(" ")}`]),
        ...offsite.envs,
      ],
      uploads: [
        { file: PASSFILE, content: database.password.apply(passfile), permissions: "0400" },
        ...offsite.uploads,
      ],
      volumes: [{ hostPath: args.backupDir, containerPath: BACKUPS, ...spelling(place.engine.kind).bind }],
      // It runs as root: files are given to the backup directory's owner, a throw-away server becomes the user postgres.
      capabilities: capabilities("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"),
      ...memoryLimit(args.databaseMemoryMegabytes + OWN_MEMORY_MEGABYTES),
      healthcheck: judgesItselfFine(),
      init: true,
      destroyGraceSeconds: args.destroyGraceSeconds,
    },
    containerOptions(place, parent, [database.ready, ...(args.bucket?.ready ?? [])]),
  );
}

/** The agent writes down what `npx budgie status` would say; this looks at that, which costs next to nothing. */
function judgesItselfFine() {
  // The first backup has to be taken before all is well.
  return healthcheck(["budgie-healthy"], {
    everySeconds: 30,
    timeoutSeconds: 5,
    startSeconds: 300,
    retries: 5,
  });
}

function policyOf({ schedule, timeZone, jitterSeconds, keep, pointInTime }: BackupPolicy): string[] {
  return [
    ...(schedule === undefined ? [] : [`BUDGIE_BACKUP_SCHEDULE=${schedule}`]),
    `BUDGIE_TIMEZONE=${timeZone}`,
    `BUDGIE_BACKUP_JITTER_SECONDS=${jitterSeconds}`,
    `BUDGIE_KEEP_DAYS=${keep.days}`,
    `BUDGIE_KEEP_AT_LEAST=${keep.atLeast}`,
    `BUDGIE_KEEP_WEEKS=${keep.weeks}`,
    `BUDGIE_KEEP_MONTHS=${keep.months}`,
    ...(pointInTime ? ["BUDGIE_POINT_IN_TIME=true"] : []),
  ];
}

/** Where backups are sent to: what may be read in the environment, and as files what may not. */
function offsiteOf({ bucket, storeLacks, ssh }: BackupAgentArgs) {
  const parts = [bucketOf(bucket, storeLacks), ...(ssh ? [sshOf(ssh)] : [])];
  return { envs: parts.flatMap(part => part.envs), uploads: parts.flatMap(part => part.uploads) };
}

function bucketOf(store: OffsiteStore | undefined, lacks: readonly string[]) {
  if (!store) return { envs: ["BUDGIE_OFFSITE=none"], uploads: [] };
  return {
    envs: [
      `BUDGIE_OFFSITE=${store.kind}`,
      `BUDGIE_S3_BUCKET=${store.bucket}`,
      `BUDGIE_S3_PREFIX=${store.prefix}`,
      `BUDGIE_S3_REGION=${store.region}`,
      ...(store.endpoint === undefined ? [] : [pulumi.interpolate`BUDGIE_S3_ENDPOINT=${store.endpoint}`]),
      `BUDGIE_S3_PATH_STYLE=${store.pathStyle}`,
      `BUDGIE_S3_LACKS=${JSON.stringify(lacks)}`,
      `BUDGIE_S3_WRITER_FILE=${S3_WRITER_FILE}`,
    ],
    uploads: [{ file: S3_WRITER_FILE, content: pulumi.jsonStringify(store.writer), permissions: "0400" }],
  };
}

function sshOf({ target, key, hostKey }: SshSettings) {
  return {
    envs: [
      `BUDGIE_SSH_TARGET=${target}`,
      `BUDGIE_SSH_KEY_FILE=${SSH_KEY_FILE}`,
      `BUDGIE_SSH_HOST_KEY=${hostKey}`,
    ],
    uploads: [{ file: SSH_KEY_FILE, content: key, permissions: "0400" }],
  };
}

/** A libpq passfile that answers to every server: the agent also talks to throw-away ones. */
export function passfile(password: string): string {
  return `*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`;
}
