import type { BackupFormat } from "./backup-format.ts";
import type { RetentionPolicy } from "./retention-policy.ts";
import type { SshTarget } from "./ssh-target.ts";

/** What the stack has decided, as its agent reads it from its environment: agent-environment.ts. */
export interface AgentSettings {
  host: string;
  port: number;
  user: string;
  database: string;
  stack: string;
  /** Of the project that made the agent; null where an older one did. */
  stackVersion: string | null;
  /** Where the backups are, as the agent sees it. */
  backupDir: string;
  /** The same place as the operator wrote it, for what is printed. */
  backupDirShown: string;
  /** Where the agent notes what is in that directory, as the agent sees it. It outlives the directory and the container. */
  recordsDir: string;
  /** A file with the stack's key, which the manifests of its backups are signed with. */
  manifestKeyFile: string;
  format: BackupFormat;
  /** The age public keys that what leaves the machine is encrypted to; none: it is sent as it is. */
  recipients: readonly string[];
  /** When backups are taken by the agent itself; null where the stack has no schedule. */
  schedule: ScheduleSettings | null;
  /** Which backups stay in the directory. */
  keep: RetentionPolicy;
  /** Whether the server's WAL is received, so that every moment of the kept days can be gone back to. */
  pointInTime: boolean;
  /** A standby of the server, which backups are read from; null where they are read from the server itself. */
  standby: StandbySettings | null;
  /** Where the server is Amazon's: a file with the authorities that its certificate must come from. null for the stack's own. */
  managed: { rootFile: string } | null;
  /** What the database's container may use; null where nothing limits it. */
  databaseMemoryMegabytes: number | null;
  /** A file with the addresses of who is told; null where nobody is. */
  alertsFile: string | null;
  /** Where it shows how things stand, inside its container and on the machine alike; null where it does not. */
  statusPort: number | null;
  /** The object store that gets a copy of every backup; null where the stack has none. */
  offsite: OffsiteSettings | null;
  /** The server that gets a copy of every backup over ssh; null where the stack has none. */
  ssh: SshSettings | null;
  /** The stack whose data this one takes over, masked; null where it takes over none. */
  refresh: RefreshSettings | null;
}

export interface StandbySettings {
  host: string;
  port: number;
  /** A folder with the files of `TLS_FILES`: who vouches for the standby, and what the agent proves itself with there. */
  tlsFolder: string;
}

export interface ScheduleSettings {
  /** Five cron fields. */
  expression: string;
  timeZone: string;
  jitterSeconds: number;
}

export interface RefreshSettings {
  /** The other stack's name. */
  fromStack: string;
  /** Where its backups are, as the operator wrote it. */
  source: string;
  /** When that is done by itself; null where it is done by hand only. */
  schedule: ScheduleSettings | null;
  /** What takes out of the data what nobody here may see, as the operator wrote it, and where the agent has it. */
  maskShown: string;
  maskFile: string;
  /** What reads a bucket: `{"accessKeyId", "secretAccessKey"}`; null for a folder. */
  readerFile: string | null;
  /** The private keys that open encrypted copies; null where there are none. */
  identityFile: string | null;
  /** What logs in to a machine over ssh, and the one public key that it may have; null for a folder or a bucket. */
  ssh: Pick<SshSettings, "keyFile" | "hostKey"> | null;
}

/** The folder in which the agent has the other stack's backups, where they are on its own machine. */
export const REFRESH_DIRECTORY = "/refresh-from";

export interface OffsiteSettings {
  /** Amazon's own, any compatible one, or the stack's own container. */
  kind: "aws" | "s3" | "local";
  bucket: string;
  /** What every key of this stack begins with: `dev/`. */
  prefix: string;
  region: string;
  /** null for Amazon's own. */
  endpoint: string | null;
  /** The bucket's name in the URL's path instead of its host name. */
  pathStyle: boolean;
  /** One sentence for each thing that this store does not do for backups. */
  lacks: string[];
  /** A file with credentials that may put, and nothing else: `{"accessKeyId", "secretAccessKey"}`. */
  writerFile: string;
}

export interface SshSettings extends SshTarget {
  keyFile: string;
  /** The one public key that the server may have: `ssh-ed25519 AAAA…`. */
  hostKey: string;
  /** How the settings that both came from begin: `budgie:offsiteSshKey`. */
  setting: "offsiteSsh" | "refreshSsh";
}
