import { z } from "zod";
import { isRecipient, splitRecipients } from "./age-recipient.ts";
import { BACKUP_FORMATS, type BackupFormat } from "./backup-format.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import type { RetentionPolicy } from "./retention.ts";
import { scheduleProblem, timeZoneProblem } from "./schedule.ts";

const filePath = z.string().startsWith("/");
const count = z.coerce.number().int();
/** A text of which nothing is known to be wrong. */
const without = (problem: (text: string) => string | null) =>
  z.string().superRefine((text, context) => {
    const message = problem(text);
    if (message !== null) context.addIssue({ code: "custom", message });
  });

/** Where copies go; only the file names of credentials are here, never credentials. */
const offsiteEnvironment = z.object({
  BUDGIE_OFFSITE: z.enum(["aws", "s3", "local"]),
  BUDGIE_S3_BUCKET: z.string().min(1),
  BUDGIE_S3_PREFIX: z.string().regex(/^[^/].*\/$/, "must end with /, and not begin with it"),
  BUDGIE_S3_REGION: z.string().min(1),
  BUDGIE_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  BUDGIE_S3_PATH_STYLE: z.enum(["true", "false"]).default("false"),
  BUDGIE_S3_LACKS: z.string().transform(parseSentences).default([]),
  BUDGIE_S3_WRITER_FILE: filePath,
});

const sshEnvironment = z.object({
  BUDGIE_SSH_TARGET: z.string().transform(parseSshTarget),
  BUDGIE_SSH_KEY_FILE: filePath,
  BUDGIE_SSH_HOST_KEY: z.string().regex(/^\S+ \S+/, "must be a line such as `ssh-ed25519 AAAA…`"),
});

/** The agent's environment. Passwords are not in it: libpq and pg read them from the file at PGPASSFILE. */
const environment = z.object({
  PGHOST: z.string().min(1),
  PGPORT: z.coerce.number().int().min(1).max(65535).default(5432),
  PGUSER: z.string().min(1),
  PGDATABASE: z.string().min(1).max(40),
  BUDGIE_STACK: z.string().min(1),
  BUDGIE_BACKUP_DIR: filePath,
  BUDGIE_BACKUP_DIR_SHOWN: z.string().min(1).optional(),
  BUDGIE_BACKUP_FORMAT: z.enum(BACKUP_FORMATS).default("sql"),
  BUDGIE_BACKUP_SCHEDULE: without(scheduleProblem).optional(),
  BUDGIE_TIMEZONE: without(timeZoneProblem).default("UTC"),
  BUDGIE_BACKUP_JITTER_SECONDS: count.min(0).default(0),
  BUDGIE_BACKUP_RECIPIENTS: z
    .string()
    .transform(splitRecipients)
    .refine(recipients => recipients.every(isRecipient), "must be age public keys")
    .default([]),
  BUDGIE_KEEP_DAYS: count.min(1).default(7),
  BUDGIE_KEEP_AT_LEAST: count.min(1).default(3),
  BUDGIE_KEEP_WEEKS: count.min(0).default(4),
  BUDGIE_KEEP_MONTHS: count.min(0).default(12),
  BUDGIE_POINT_IN_TIME: z.enum(["true", "false"]).default("false"),
});

export interface AgentSettings {
  host: string;
  port: number;
  user: string;
  database: string;
  stack: string;
  /** Where the backups are, as the agent sees it. */
  backupDir: string;
  /** The same place as the operator wrote it, for what is printed. */
  backupDirShown: string;
  format: BackupFormat;
  /** The age public keys that what leaves the machine is encrypted to; none: it is sent as it is. */
  recipients: readonly string[];
  /** When backups are taken by the agent itself; null where the stack has no schedule. */
  schedule: ScheduleSettings | null;
  /** Which backups stay in the directory. */
  keep: RetentionPolicy;
  /** Whether the server's WAL is received, so that every moment of the kept days can be gone back to. */
  pointInTime: boolean;
  /** The object store that gets a copy of every backup; null where the stack has none. */
  offsite: OffsiteSettings | null;
  /** The server that gets a copy of every backup over ssh; null where the stack has none. */
  ssh: SshSettings | null;
}

export interface ScheduleSettings {
  /** Five cron fields. */
  expression: string;
  timeZone: string;
  jitterSeconds: number;
}

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

export interface SshSettings {
  /** As it is shown: `ssh://user@host:22/path`. */
  target: string;
  user: string;
  host: string;
  port: number;
  /** The directory on the server. */
  path: string;
  keyFile: string;
  /** The one public key that the server may have: `ssh-ed25519 AAAA…`. */
  hostKey: string;
}

/** Throws a Stop that lists everything wrong at once. */
export function readSettings(env: NodeJS.ProcessEnv): AgentSettings {
  const wrong: string[] = [];
  const read = <T>(part: z.ZodType<T>): T | undefined => {
    const parsed = part.safeParse(env);
    if (parsed.success) return parsed.data;
    wrong.push(...parsed.error.issues.map(issue => `${issue.path.join(".")}: ${issue.message}`));
    return undefined;
  };
  const e = read(environment);
  const offsite = hasOffsite(env) ? read(offsiteEnvironment) : undefined;
  const ssh = env.BUDGIE_SSH_TARGET ? read(sshEnvironment) : undefined;
  if (e === undefined || wrong.length > 0) {
    throw new Stop(
      EXIT.usage,
      `The backup agent's environment is not usable: ${wrong.join("; ")}.`,
      "The stack sets these variables; run `pulumi up` to put them right.",
    );
  }
  return {
    host: e.PGHOST,
    port: e.PGPORT,
    user: e.PGUSER,
    database: e.PGDATABASE,
    stack: e.BUDGIE_STACK,
    backupDir: e.BUDGIE_BACKUP_DIR,
    backupDirShown: e.BUDGIE_BACKUP_DIR_SHOWN ?? e.BUDGIE_BACKUP_DIR,
    format: e.BUDGIE_BACKUP_FORMAT,
    recipients: e.BUDGIE_BACKUP_RECIPIENTS,
    schedule: scheduleSettings(e),
    keep: {
      days: e.BUDGIE_KEEP_DAYS,
      atLeast: e.BUDGIE_KEEP_AT_LEAST,
      weeks: e.BUDGIE_KEEP_WEEKS,
      months: e.BUDGIE_KEEP_MONTHS,
    },
    pointInTime: e.BUDGIE_POINT_IN_TIME === "true",
    offsite: offsite ? offsiteSettings(offsite) : null,
    ssh: ssh ? sshSettings(ssh) : null,
  };
}

function scheduleSettings(e: z.infer<typeof environment>): ScheduleSettings | null {
  if (e.BUDGIE_BACKUP_SCHEDULE === undefined) return null;
  return {
    expression: e.BUDGIE_BACKUP_SCHEDULE,
    timeZone: e.BUDGIE_TIMEZONE,
    jitterSeconds: e.BUDGIE_BACKUP_JITTER_SECONDS,
  };
}

function hasOffsite(env: NodeJS.ProcessEnv): boolean {
  return env.BUDGIE_OFFSITE !== undefined && env.BUDGIE_OFFSITE !== "none";
}

function offsiteSettings(e: z.infer<typeof offsiteEnvironment>): OffsiteSettings {
  return {
    kind: e.BUDGIE_OFFSITE,
    bucket: e.BUDGIE_S3_BUCKET,
    prefix: e.BUDGIE_S3_PREFIX,
    region: e.BUDGIE_S3_REGION,
    endpoint: e.BUDGIE_S3_ENDPOINT ?? null,
    pathStyle: e.BUDGIE_S3_PATH_STYLE === "true",
    lacks: e.BUDGIE_S3_LACKS,
    writerFile: e.BUDGIE_S3_WRITER_FILE,
  };
}

function sshSettings(e: z.infer<typeof sshEnvironment>): SshSettings {
  return { ...e.BUDGIE_SSH_TARGET, keyFile: e.BUDGIE_SSH_KEY_FILE, hostKey: e.BUDGIE_SSH_HOST_KEY };
}

function parseSentences(text: string, context: z.RefinementCtx): string[] {
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    context.addIssue({ code: "custom", message: "must be a JSON array of sentences" });
    return z.NEVER;
  }
}

type SshTarget = Pick<SshSettings, "target" | "user" | "host" | "port" | "path">;

function parseSshTarget(text: string, context: z.RefinementCtx): SshTarget {
  const found = /^ssh:\/\/([^@/\s]+)@(\[[^\]\s]+\]|[^:/@\s]+)(?::(\d+))?(\/.*)$/.exec(text);
  const [, user, host, port = "22", path] = found ?? [];
  if (!user || !host || !path) {
    context.addIssue({ code: "custom", message: "must be like ssh://user@host:22/path" });
    return z.NEVER;
  }
  return {
    target: text,
    user,
    host: host.replace(/^\[|\]$/g, ""),
    port: Number(port),
    path,
  };
}
