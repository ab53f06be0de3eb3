import { z } from "zod";
import { isRecipient, splitRecipients } from "./age-recipient.ts";
import type {
  AgentSettings,
  OffsiteSettings,
  RefreshSettings,
  ScheduleSettings,
  SshSettings,
} from "./agent-settings.ts";
import { BACKUP_FORMATS } from "./backup-format.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { parseRefreshSource } from "./refresh-source.ts";
import { scheduleProblem, timeZoneProblem } from "./schedule.ts";
import { parseSshTarget, type SshTarget } from "./ssh-target.ts";

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
  BUDGIE_S3_PATH_STYLE: z.enum(["true", "false"]),
  BUDGIE_S3_LACKS: z.string().transform(parseSentences),
  BUDGIE_S3_WRITER_FILE: filePath,
});

const sshEnvironment = z.object({
  BUDGIE_SSH_TARGET: z.string().transform(parseTarget),
  BUDGIE_SSH_KEY_FILE: filePath,
  BUDGIE_SSH_HOST_KEY: z.string().regex(/^\S+ \S+/, "must be a line such as `ssh-ed25519 AAAA…`"),
});

const refreshEnvironment = z.object({
  BUDGIE_REFRESH_FROM: z.string().min(1),
  BUDGIE_REFRESH_SOURCE: z
    .string()
    .refine(
      text => parseRefreshSource(text) !== undefined,
      "must be a folder, or like s3://BUCKET or ssh://user@host/path",
    ),
  BUDGIE_REFRESH_SCHEDULE: without(scheduleProblem).optional(),
  BUDGIE_REFRESH_MASK: z.string().min(1),
  BUDGIE_REFRESH_MASK_FILE: filePath,
  BUDGIE_REFRESH_READER_FILE: filePath.optional(),
  BUDGIE_REFRESH_IDENTITY_FILE: filePath.optional(),
  BUDGIE_REFRESH_SSH_KEY_FILE: filePath.optional(),
  BUDGIE_REFRESH_SSH_HOST_KEY: z.string().optional(),
});

const standbyEnvironment = z.object({
  BUDGIE_STANDBY_HOST: z.string().min(1),
  BUDGIE_STANDBY_PORT: count.min(1).max(65535),
  BUDGIE_STANDBY_TLS_FOLDER: filePath,
});

/**
 * The agent's environment. Passwords are not in it: libpq and pg read them from the file at PGPASSFILE. What the stack always
 * says has no default here: Pulumi.yaml has it.
 */
const environment = z.object({
  PGHOST: z.string().min(1),
  PGPORT: z.coerce.number().int().min(1).max(65535),
  PGUSER: z.string().min(1),
  PGDATABASE: z.string().min(1).max(40),
  BUDGIE_STACK: z.string().min(1),
  BUDGIE_STACK_VERSION: z.string().min(1).optional(),
  BUDGIE_BACKUP_DIR: filePath,
  BUDGIE_RECORDS_DIR: filePath,
  BUDGIE_MANIFEST_KEY_FILE: filePath,
  BUDGIE_BACKUP_DIR_SHOWN: z.string().min(1),
  BUDGIE_BACKUP_FORMAT: z.enum(BACKUP_FORMATS),
  BUDGIE_BACKUP_SCHEDULE: without(scheduleProblem).optional(),
  BUDGIE_TIMEZONE: without(timeZoneProblem),
  BUDGIE_BACKUP_JITTER_SECONDS: count.min(0),
  BUDGIE_BACKUP_RECIPIENTS: z
    .string()
    .transform(splitRecipients)
    .refine(recipients => recipients.every(isRecipient), "must be age public keys")
    .default([]),
  BUDGIE_KEEP_DAYS: count.min(1),
  BUDGIE_KEEP_AT_LEAST: count.min(1),
  BUDGIE_KEEP_WEEKS: count.min(0),
  BUDGIE_KEEP_MONTHS: count.min(0),
  BUDGIE_POINT_IN_TIME: z.enum(["true", "false"]).default("false"),
  BUDGIE_DATABASE_MEMORY_MEGABYTES: count.min(1).optional(),
  BUDGIE_DATABASE_ROOTS_FILE: filePath.optional(),
  BUDGIE_ALERTS_FILE: filePath.optional(),
  BUDGIE_STATUS_PORT: count.min(1).max(65535).optional(),
  BUDGIE_OFFSITE: z.enum(["none", "aws", "s3", "local"]),
});

type Variable =
  | keyof typeof environment.shape
  | keyof typeof offsiteEnvironment.shape
  | keyof typeof sshEnvironment.shape
  | keyof typeof refreshEnvironment.shape
  | keyof typeof standbyEnvironment.shape
  | "PGPASSFILE";

/** What the stack tells its agent. A `Later` is what the stack itself knows only once it is up. */
export interface ToldSettings<Later>
  extends Omit<AgentSettings, "host" | "schedule" | "offsite" | "ssh" | "refresh"> {
  host: string | Later;
  /** A file for libpq, with the password. */
  passfile: string;
  /** Without an expression, backups are taken by hand only. */
  schedule: Omit<ScheduleSettings, "expression"> & { expression: string | null };
  offsite: (Omit<OffsiteSettings, "endpoint"> & { endpoint: string | Later | null }) | null;
  ssh: Pick<SshSettings, "target" | "keyFile" | "hostKey"> | null;
  refresh: (Omit<RefreshSettings, "schedule"> & { expression: string | null }) | null;
}

/** The environment from which `readSettings` reads these settings. DANGER: everyone who may inspect the container reads it too. */
export function agentEnvironment<Later>(told: ToldSettings<Later>): [Variable, string | Later][] {
  const { schedule, keep, recipients, databaseMemoryMegabytes: memory, statusPort, offsite, ssh } = told;
  return [
    ["PGHOST", told.host],
    ["PGPORT", String(told.port)],
    ["PGUSER", told.user],
    ["PGDATABASE", told.database],
    ["PGPASSFILE", told.passfile],
    ["BUDGIE_STACK", told.stack],
    ...given("BUDGIE_STACK_VERSION", told.stackVersion),
    ["BUDGIE_MANIFEST_KEY_FILE", told.manifestKeyFile],
    ["BUDGIE_BACKUP_DIR", told.backupDir],
    ["BUDGIE_BACKUP_DIR_SHOWN", told.backupDirShown],
    ["BUDGIE_RECORDS_DIR", told.recordsDir],
    ["BUDGIE_BACKUP_FORMAT", told.format],
    ...given("BUDGIE_BACKUP_SCHEDULE", schedule.expression),
    ["BUDGIE_TIMEZONE", schedule.timeZone],
    ["BUDGIE_BACKUP_JITTER_SECONDS", String(schedule.jitterSeconds)],
    ["BUDGIE_KEEP_DAYS", String(keep.days)],
    ["BUDGIE_KEEP_AT_LEAST", String(keep.atLeast)],
    ["BUDGIE_KEEP_WEEKS", String(keep.weeks)],
    ["BUDGIE_KEEP_MONTHS", String(keep.months)],
    ...given("BUDGIE_POINT_IN_TIME", told.pointInTime ? "true" : null),
    ...given("BUDGIE_DATABASE_MEMORY_MEGABYTES", memory === null ? null : String(memory)),
    ...given("BUDGIE_DATABASE_ROOTS_FILE", told.managed?.rootFile ?? null),
    ...given("BUDGIE_ALERTS_FILE", told.alertsFile),
    ...given("BUDGIE_STATUS_PORT", statusPort === null ? null : String(statusPort)),
    ...given("BUDGIE_BACKUP_RECIPIENTS", recipients.length === 0 ? null : recipients.join(" ")),
    ...standbyVariables(told.standby),
    ...offsiteVariables(offsite),
    ...sshVariables(ssh),
    ...refreshVariables(told.refresh),
  ];
}

function standbyVariables(standby: ToldSettings<never>["standby"]): [Variable, string][] {
  if (!standby) return [];
  return [
    ["BUDGIE_STANDBY_HOST", standby.host],
    ["BUDGIE_STANDBY_PORT", String(standby.port)],
    ["BUDGIE_STANDBY_TLS_FOLDER", standby.tlsFolder],
  ];
}

function offsiteVariables<Later>(offsite: ToldSettings<Later>["offsite"]): [Variable, string | Later][] {
  if (!offsite) return [["BUDGIE_OFFSITE", "none"]];
  return [
    ["BUDGIE_OFFSITE", offsite.kind],
    ["BUDGIE_S3_BUCKET", offsite.bucket],
    ["BUDGIE_S3_PREFIX", offsite.prefix],
    ["BUDGIE_S3_REGION", offsite.region],
    ...given("BUDGIE_S3_ENDPOINT", offsite.endpoint),
    ["BUDGIE_S3_PATH_STYLE", String(offsite.pathStyle)],
    ["BUDGIE_S3_LACKS", JSON.stringify(offsite.lacks)],
    ["BUDGIE_S3_WRITER_FILE", offsite.writerFile],
  ];
}

function sshVariables(ssh: ToldSettings<never>["ssh"]): [Variable, string][] {
  if (!ssh) return [];
  return [
    ["BUDGIE_SSH_TARGET", ssh.target],
    ["BUDGIE_SSH_KEY_FILE", ssh.keyFile],
    ["BUDGIE_SSH_HOST_KEY", ssh.hostKey],
  ];
}

function refreshVariables(refresh: ToldSettings<never>["refresh"]): [Variable, string][] {
  if (!refresh) return [];
  return [
    ["BUDGIE_REFRESH_FROM", refresh.fromStack],
    ["BUDGIE_REFRESH_SOURCE", refresh.source],
    ...given("BUDGIE_REFRESH_SCHEDULE", refresh.expression),
    ["BUDGIE_REFRESH_MASK", refresh.maskShown],
    ["BUDGIE_REFRESH_MASK_FILE", refresh.maskFile],
    ...given("BUDGIE_REFRESH_READER_FILE", refresh.readerFile),
    ...given("BUDGIE_REFRESH_IDENTITY_FILE", refresh.identityFile),
    ...given("BUDGIE_REFRESH_SSH_KEY_FILE", refresh.ssh?.keyFile ?? null),
    ...given("BUDGIE_REFRESH_SSH_HOST_KEY", refresh.ssh?.hostKey ?? null),
  ];
}

function given<Value>(name: Variable, value: Value | null): [Variable, Value][] {
  return value === null ? [] : [[name, value]];
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
  const standby = env.BUDGIE_STANDBY_HOST ? read(standbyEnvironment) : undefined;
  const refresh = env.BUDGIE_REFRESH_FROM ? read(refreshEnvironment) : undefined;
  if (e === undefined || wrong.length > 0) {
    throw new Stop(
      EXIT.usage,
      `The backup agent's environment is not usable: ${wrong.join("; ")}.`,
      "The stack sets these variables; run `npm run pulumi -- up` to put them right.",
    );
  }
  return {
    host: e.PGHOST,
    port: e.PGPORT,
    user: e.PGUSER,
    database: e.PGDATABASE,
    stack: e.BUDGIE_STACK,
    stackVersion: e.BUDGIE_STACK_VERSION ?? null,
    backupDir: e.BUDGIE_BACKUP_DIR,
    backupDirShown: e.BUDGIE_BACKUP_DIR_SHOWN,
    recordsDir: e.BUDGIE_RECORDS_DIR,
    manifestKeyFile: e.BUDGIE_MANIFEST_KEY_FILE,
    format: e.BUDGIE_BACKUP_FORMAT,
    recipients: e.BUDGIE_BACKUP_RECIPIENTS,
    schedule: scheduleSettings(e, e.BUDGIE_BACKUP_SCHEDULE, e.BUDGIE_BACKUP_JITTER_SECONDS),
    keep: {
      days: e.BUDGIE_KEEP_DAYS,
      atLeast: e.BUDGIE_KEEP_AT_LEAST,
      weeks: e.BUDGIE_KEEP_WEEKS,
      months: e.BUDGIE_KEEP_MONTHS,
    },
    pointInTime: e.BUDGIE_POINT_IN_TIME === "true",
    databaseMemoryMegabytes: e.BUDGIE_DATABASE_MEMORY_MEGABYTES ?? null,
    standby: standby
      ? {
          host: standby.BUDGIE_STANDBY_HOST,
          port: standby.BUDGIE_STANDBY_PORT,
          tlsFolder: standby.BUDGIE_STANDBY_TLS_FOLDER,
        }
      : null,
    managed: e.BUDGIE_DATABASE_ROOTS_FILE ? { rootFile: e.BUDGIE_DATABASE_ROOTS_FILE } : null,
    alertsFile: e.BUDGIE_ALERTS_FILE ?? null,
    statusPort: e.BUDGIE_STATUS_PORT ?? null,
    offsite: offsite ? offsiteSettings(offsite) : null,
    ssh: ssh ? sshSettings(ssh) : null,
    refresh: refresh ? refreshSettings(e, refresh) : null,
  };
}

function scheduleSettings(
  { BUDGIE_TIMEZONE: timeZone }: z.infer<typeof environment>,
  expression: string | undefined,
  jitterSeconds: number,
): ScheduleSettings | null {
  return expression === undefined ? null : { expression, timeZone, jitterSeconds };
}

function refreshSettings(
  e: z.infer<typeof environment>,
  refresh: z.infer<typeof refreshEnvironment>,
): RefreshSettings {
  const { BUDGIE_REFRESH_SSH_KEY_FILE: keyFile, BUDGIE_REFRESH_SSH_HOST_KEY: hostKey } = refresh;
  return {
    fromStack: refresh.BUDGIE_REFRESH_FROM,
    source: refresh.BUDGIE_REFRESH_SOURCE,
    schedule: scheduleSettings(e, refresh.BUDGIE_REFRESH_SCHEDULE, 0),
    maskShown: refresh.BUDGIE_REFRESH_MASK,
    maskFile: refresh.BUDGIE_REFRESH_MASK_FILE,
    readerFile: refresh.BUDGIE_REFRESH_READER_FILE ?? null,
    identityFile: refresh.BUDGIE_REFRESH_IDENTITY_FILE ?? null,
    ssh: keyFile && hostKey ? { keyFile, hostKey } : null,
  };
}

function hasOffsite(env: NodeJS.ProcessEnv): boolean {
  return Boolean(env.BUDGIE_OFFSITE) && env.BUDGIE_OFFSITE !== "none";
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
  const { BUDGIE_SSH_TARGET: target, BUDGIE_SSH_KEY_FILE: keyFile, BUDGIE_SSH_HOST_KEY: hostKey } = e;
  return { ...target, keyFile, hostKey, setting: "offsiteSsh" };
}

function parseSentences(text: string, context: z.RefinementCtx): string[] {
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    context.addIssue({ code: "custom", message: "must be a JSON array of sentences" });
    return z.NEVER;
  }
}

function parseTarget(text: string, context: z.RefinementCtx): SshTarget {
  const target = parseSshTarget(text);
  if (target) return target;
  context.addIssue({ code: "custom", message: "must be like ssh://user@host:22/path" });
  return z.NEVER;
}
