import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { bundle } from "./bundle.ts";
import type { DatabaseConnection } from "./database.ts";
import { spelling } from "./engine.ts";
import { containerBase, containerOptions, type Place } from "./place.ts";
import { step } from "./step.ts";

export interface BackupAgentArgs {
  place: Place;
  database: DatabaseConnection;
  /** Absolute, on the engine's machine. */
  backupDir: string;
  /** The same place as the operator wrote it, e.g. ./backups, for what is printed. */
  backupDirShown: string;
  format: "sql" | "sql.gz";
  /** How many seconds a backup that is being written gets to end. */
  destroyGraceSeconds: number;
}

const PASSFILE = "/run/secrets/pgpass";
const BACKUPS = "/backups";
/**
 * Files belong to the backup directory's owner, and a throw-away server runs as its own user. Spelt as the engine reads
 * them back: without CAP_ the container would be replaced after every refresh.
 */
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"].map(
  name => `CAP_${name}`,
);

/** The container beside the database in which every backup and restore happens. */
export class BackupAgent extends pulumi.ComponentResource {
  readonly container: docker.Container;
  /** What to depend on: when it is there, the database is the one that the stack's backups came from. */
  readonly databaseIdentity: pulumi.Resource;

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
    this.registerOutputs({ container: this.container.name });
  }
}

function createImage(name: string, place: Place, parent: pulumi.Resource): docker.RemoteImage {
  const { context, hash } = bundle("agent", {
    entry: "agent/main.ts",
    file: "agent.cjs",
    beside: ["agent/Dockerfile", "agent/budgie-agent"],
  });
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
  return new docker.Container(
    `${name}-container`,
    {
      ...containerBase(place, "backup-agent", {
        "budgie.backup-dir": args.backupDir,
        "budgie.backup-dir-shown": args.backupDirShown,
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
      ],
      uploads: [{ file: PASSFILE, content: database.password.apply(passfile), permissions: "0400" }],
      volumes: [{ hostPath: args.backupDir, containerPath: BACKUPS }],
      capabilities: { drops: ["ALL"], adds: CAPABILITIES },
      init: true,
      destroyGraceSeconds: args.destroyGraceSeconds,
    },
    containerOptions(place, parent, [database.ready]),
  );
}

/** A libpq passfile that answers to every server: the agent also talks to throw-away ones. */
export function passfile(password: string): string {
  return `*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`;
}
