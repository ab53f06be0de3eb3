import { statSync } from "node:fs";
import { isIPv4 } from "node:net";
import { isAbsolute, relative, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { alertDefinitions } from "./settings/alerts.ts";
import { backendsDefinitions, backendsProblems } from "./settings/backends.ts";
import { type BackupPolicy, backupPolicyDefinitions, toBackupPolicy } from "./settings/backup-policy.ts";
import {
  boolean,
  imageName,
  integer,
  NAMESPACE,
  optional,
  type Problem,
  removeCommand,
  type SettingDefinition,
  secret,
  setCommand,
  text,
} from "./settings/definition.ts";
import {
  type ManagedSettings,
  managedDefinitions,
  managedProblems,
  toManaged,
} from "./settings/managed-database.ts";
import {
  type ObjectStoreSettings,
  offsiteDefinitions,
  type SshSettings,
  toObjectStore,
  toSsh,
} from "./settings/offsite.ts";
import { offsiteContradictions } from "./settings/offsite-contradictions.ts";
import { productionStoreProblems } from "./settings/production-store.ts";
import { type RefreshFrom, refreshDefinitions, refreshProblems, toRefresh } from "./settings/refresh.ts";
import { Refusal } from "./settings/refusal.ts";
import {
  ENGINE_HOST,
  type ReplicaSettings,
  replicaDefinitions,
  replicaProblems,
  toReplicas,
} from "./settings/replica.ts";
import { weakSecrets } from "./settings/weak-secrets.ts";
import { BACKUP_FORMATS, type BackupFormat } from "./shared/backup-format.ts";
import { MAJOR_VERSIONS, type MajorVersion } from "./shared/database-image.ts";
import { DATABASE_NAME } from "./shared/names.ts";
import { PROJECT_FOLDER } from "./shared/project-folder.ts";
import { SESSION_SECRET_LENGTH } from "./shared/secrets.ts";

/** What the stack is made from. Settings that are not set are undefined; defaults are in Pulumi.yaml and nowhere else. */
export interface Settings {
  /** The stack's name, e.g. dev. */
  stack: string;
  namePrefix: string;
  databaseName: string;
  /** Of PostgreSQL. */
  postgresVersion: MajorVersion;
  databasePassword: pulumi.Output<string> | undefined;
  /** On 127.0.0.1. */
  databasePort: number | undefined;
  /** Where the backup agent shows how things stand, on 127.0.0.1. */
  statusPort: number | undefined;
  sessionSecret: pulumi.Output<string> | undefined;
  httpPort: number;
  httpAddress: string;
  backend: BackendSource;
  backendSecretsInEnvironment: boolean;
  /** How many of the API run side by side; more than one only in a Docker swarm. */
  backends: number;
  frontendUrl: string | undefined;
  /** As the operator wrote it. */
  backupDir: string;
  backupFormat: BackupFormat;
  backupPolicy: BackupPolicy;
  /** The age public keys that copies are encrypted to; none: they are sent as they are. */
  backupRecipients: readonly string[];
  /** Who is told of backups and of what is wrong; a heartbeat and alerts, by their addresses. */
  alerts: { heartbeat: pulumi.Output<string> | undefined; urls: pulumi.Output<string> | undefined };
  engineHost: string | undefined;
  destroyGraceSeconds: number;
  databaseMemoryMegabytes: number;
  objectStore: ObjectStoreSettings;
  ssh: SshSettings | undefined;
  refresh: RefreshFrom | undefined;
  replicas: ReplicaSettings | undefined;
  /** A database that Amazon runs; undefined where it is a container of the stack's own. */
  managed: ManagedSettings | undefined;
}

/** Where the API's image comes from. */
export type BackendSource =
  /** There is no API: a program that uses the stack as a component has one of its own, or none. */
  | { from: "none" }
  | { from: "project" }
  | { from: "image"; image: string }
  /** `context` is absolute, `dockerfile` relative to it. */
  | { from: "context"; context: string; dockerfile: string; target: string | undefined };

const NAME_PREFIX = /^(?=.{1,30}$)[a-z](-?[a-z0-9])*$/;

/** One line per setting: how it is read, what is allowed, and an example that is. */
const definitions = {
  namePrefix: {
    schema: text(NAME_PREFIX),
    allowed: "1 to 30 lower-case letters, digits and single hyphens, with a letter first and no hyphen last",
    example: "budgie",
  },
  databaseName: {
    schema: text(DATABASE_NAME),
    allowed:
      "1 to 40 lower-case letters, digits and underscores, not beginning with a digit, and not a name of PostgreSQL's own",
    example: "budgie_dev",
  },
  postgresVersion: {
    schema: z.enum(MAJOR_VERSIONS),
    allowed: `${MAJOR_VERSIONS.slice(0, -1).join(", ")} or ${MAJOR_VERSIONS.at(-1)}`,
    example: "17",
  },
  databasePassword: {
    schema: optional(secret(8)),
    allowed: "8 to 200 letters, digits and signs of ASCII without spaces, stored as a secret",
    example: "",
    secret: true,
  },
  databasePort: {
    schema: optional(integer(1, 65535), "0"),
    allowed: "a whole number from 1 to 65535, or 0 for no port",
    example: "5432",
  },
  statusPort: {
    schema: optional(integer(1024, 65535), "0"),
    allowed: "a whole number from 1024 to 65535, or 0 for none",
    example: "8617",
  },
  sessionSecret: {
    schema: optional(secret(SESSION_SECRET_LENGTH)),
    allowed: "32 to 200 letters, digits and signs of ASCII without spaces, stored as a secret",
    example: "",
    secret: true,
  },
  httpPort: { schema: integer(1, 65535), allowed: "a whole number from 1 to 65535", example: "8080" },
  httpAddress: {
    schema: z.string().refine(isIPv4),
    allowed: "an IPv4 address of the machine, or 0.0.0.0 for all",
    example: "127.0.0.1",
  },
  backendImage: {
    schema: optional(imageName),
    allowed: "an image's name, or nothing",
    example: "registry.example.com/budgie-backend:1.4.2",
  },
  backendContext: {
    schema: optional(text(/^\P{Cc}+$/u)),
    allowed: "a folder that exists, or nothing",
    example: "../budgie/backend",
  },
  backendDockerfile: {
    schema: optional(text(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))\P{Cc}+$/u)),
    allowed: "a file inside budgie:backendContext, relative to it, or nothing",
    example: "docker/Dockerfile",
  },
  backendTarget: {
    schema: optional(text(/^[a-z][a-z0-9._-]*$/i)),
    allowed: "a build stage's name, or nothing",
    example: "production",
  },
  backendSecretsInEnvironment: {
    schema: boolean,
    allowed: "true or false",
    example: "false",
  },
  ...backendsDefinitions,
  frontendUrl: {
    schema: optional(z.string().refine(isWebAddress)),
    allowed: "an http:// or https:// address, or nothing",
    example: "https://budgie.example.com",
  },
  backupDir: {
    // The engine's mounts are written `host:container`.
    schema: text(/^[^:\p{Cc}]+$/u).refine(isFolderOfItsOwn),
    allowed: "a folder of its own (not the project folder, nor one above it), without a colon in its path",
    example: "./backups",
  },
  backupFormat: {
    schema: z.enum(BACKUP_FORMATS),
    allowed: `${BACKUP_FORMATS.slice(0, -1).join(", ")} or ${BACKUP_FORMATS.at(-1)}`,
    example: "sql.zst",
  },
  engineHost: {
    schema: optional(text(ENGINE_HOST)),
    allowed: "unix:///PATH, ssh://USER@HOST or tcp://HOST:PORT, or nothing",
    example: "unix:///run/podman/podman.sock",
  },
  destroyGraceSeconds: {
    schema: integer(60, 3600),
    allowed: "a whole number of seconds from 60 to 3600",
    example: "60",
  },
  databaseMemoryMegabytes: {
    schema: integer(512, 1_048_576),
    allowed: "a whole number of megabytes from 512 to 1048576",
    example: "2048",
  },
  ...backupPolicyDefinitions,
  ...alertDefinitions,
  ...offsiteDefinitions,
  ...refreshDefinitions,
  ...replicaDefinitions,
  ...managedDefinitions,
} satisfies Record<string, SettingDefinition>;

export type SettingName = keyof typeof definitions;
export const SETTING_NAMES = Object.keys(definitions) as SettingName[];
export const definitionOf: Record<SettingName, SettingDefinition> = definitions;
/** Those that are encrypted in the stack's file. */
export const SECRET_NAMES = SETTING_NAMES.filter(name => definitionOf[name].secret);

type Values = { [Name in SettingName]: z.output<(typeof definitions)[Name]["schema"]> };

/** The stack's configuration as Pulumi hands it over. */
export interface Configuration {
  stack: string;
  /** By full name, e.g. `budgie:httpPort`; other namespaces may be among them. */
  values: Readonly<Record<string, string>>;
  /** Whether the value is encrypted in the stack's file. */
  isSecret(fullName: string): boolean;
}

/**
 * Reads the stack's configuration. Whatever is wrong is said in one message, thrown as a `Refusal`.
 */
export function readSettings(): Settings {
  const secretNames: unknown = JSON.parse(process.env.PULUMI_CONFIG_SECRET_KEYS ?? "[]");
  const secrets = new Set(Array.isArray(secretNames) ? secretNames : []);
  return parseSettings({
    stack: pulumi.getStack(),
    values: pulumi.runtime.allConfig(),
    isSecret: name => secrets.has(name),
  });
}

/** Throws a `Refusal` that names every problem. */
export function parseSettings(configuration: Configuration): Settings {
  const judged = judgeSettings(configuration);
  if ("settings" in judged) return judged.settings;
  throw new Refusal(describe(judged.problems, configuration.stack));
}

/** The settings, or all that is wrong with them. */
export function judgeSettings(
  configuration: Configuration,
): { settings: Settings } | { problems: Problem[] } {
  const values: Partial<Record<SettingName, unknown>> = {};
  const problems: Problem[] = [];
  for (const name of SETTING_NAMES) {
    const raw = configuration.values[`${NAMESPACE}:${name}`];
    const { schema } = definitions[name];
    const parsed = schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    else problems.push(wrongValue(name, raw, configuration));
    if (
      raw &&
      parsed.success &&
      definitionOf[name].secret &&
      !configuration.isSecret(`${NAMESPACE}:${name}`)
    ) {
      problems.push({
        what: `${NAMESPACE}:${name} is in plain text in Pulumi.${configuration.stack}.yaml. Consider it known to others.`,
        type: typeToSet(name),
      });
    }
  }
  problems.push(...unknownNames(configuration));
  problems.push(
    ...contradictions(values as Partial<Values>),
    ...offsiteContradictions(values as Partial<Values>),
    ...productionStoreProblems(values as Partial<Values>, configuration.stack),
    ...refreshProblems(values as Partial<Values>, configuration.stack),
    ...replicaProblems(values as Partial<Values>),
    ...managedProblems(values as Partial<Values>),
    ...backendsProblems(values as Partial<Values>),
    ...weakSecrets(values as Partial<Values>, definitions),
  );
  if (problems.length > 0) return { problems };
  return { settings: toSettings(values as Values, configuration.stack) };
}

function toSettings(values: Values, stack: string): Settings {
  return {
    stack,
    namePrefix: values.namePrefix,
    databaseName: values.databaseName,
    postgresVersion: values.postgresVersion,
    databasePassword: asSecret(values.databasePassword),
    databasePort: values.databasePort,
    statusPort: values.statusPort,
    sessionSecret: asSecret(values.sessionSecret),
    httpPort: values.httpPort,
    httpAddress: values.httpAddress,
    backend: toBackendSource(values),
    backendSecretsInEnvironment: values.backendSecretsInEnvironment,
    backends: values.backends,
    frontendUrl: values.frontendUrl,
    backupDir: values.backupDir,
    backupFormat: values.backupFormat,
    backupPolicy: toBackupPolicy(values),
    backupRecipients: values.backupRecipients ?? [],
    alerts: { heartbeat: asSecret(values.heartbeatUrl), urls: asSecret(values.alertUrl) },
    engineHost: values.engineHost,
    destroyGraceSeconds: values.destroyGraceSeconds,
    databaseMemoryMegabytes: values.databaseMemoryMegabytes,
    objectStore: toObjectStore(values),
    ssh: toSsh(values),
    refresh: toRefresh(values),
    replicas: toReplicas(values),
    managed: toManaged(values),
  };
}

function toBackendSource(values: Values): BackendSource {
  const { backendImage, backendContext, backendDockerfile, backendTarget } = values;
  if (backendImage) return { from: "image", image: backendImage };
  if (!backendContext) return { from: "project" };
  return {
    from: "context",
    context: resolve(PROJECT_FOLDER, backendContext),
    dockerfile: backendDockerfile ?? "Dockerfile",
    target: backendTarget,
  };
}

function asSecret(value: string | undefined): pulumi.Output<string> | undefined {
  return value === undefined ? undefined : pulumi.secret(value);
}

function wrongValue(name: SettingName, raw: string | undefined, configuration: Configuration): Problem {
  // A private key in the wrong place is no less private.
  const hidden =
    definitionOf[name].secret ||
    configuration.isSecret(`${NAMESPACE}:${name}`) ||
    /AGE-SECRET-KEY-|PRIVATE KEY/i.test(raw ?? "");
  const is =
    raw === undefined || raw === ""
      ? "is not set"
      : hidden
        ? "has a value that is not usable"
        : `is ${JSON.stringify(raw)}`;
  return {
    what: `${NAMESPACE}:${name} ${is}.`,
    allowed: definitions[name].allowed,
    type: typeToSet(name),
  };
}

/** The value of an unknown setting is never shown: it may be a secret whose name was misspelt. */
function unknownNames({ values }: Configuration): Problem[] {
  return Object.keys(values)
    .filter(name => name.startsWith(`${NAMESPACE}:`))
    .map(name => name.slice(NAMESPACE.length + 1))
    .filter(name => !(SETTING_NAMES as string[]).includes(name))
    .sort()
    .map(name => {
      const near = nearest(name);
      return {
        what: `${NAMESPACE}:${name} is not a setting.${near ? ` Did you mean ${NAMESPACE}:${near}?` : ""}`,
        type: removeCommand(name),
      };
    });
}

function nearest(name: string): SettingName | undefined {
  const ranked = SETTING_NAMES.map(known => ({
    known,
    steps: distance(name.toLowerCase(), known.toLowerCase()),
  })).sort((a, b) => a.steps - b.steps)[0];
  return ranked && ranked.steps <= Math.max(2, ranked.known.length / 3) ? ranked.known : undefined;
}

/** Settings that are fine alone and wrong together. */
function contradictions(values: Partial<Values>): Problem[] {
  const problems: Problem[] = [];
  if (values.backendImage && values.backendContext) {
    problems.push({
      what: `${NAMESPACE}:backendImage and ${NAMESPACE}:backendContext are both set; the API can have one of them.`,
      type: removeCommand("backendImage"),
    });
  }
  for (const name of ["backendDockerfile", "backendTarget"] as const) {
    if (values[name] && !values.backendContext) {
      problems.push({
        what: `${NAMESPACE}:${name} is set, but ${NAMESPACE}:backendContext, which it belongs to, is not.`,
        type: typeToSet("backendContext"),
      });
    }
  }
  const { pointInTime, objectStore, offsiteKeepDays } = values;
  if (pointInTime && objectStore !== "none" && offsiteKeepDays !== undefined && offsiteKeepDays < 14) {
    problems.push({
      what:
        `${NAMESPACE}:offsiteKeepDays is ${offsiteKeepDays}, but with ${NAMESPACE}:pointInTime it must be at least 14: ` +
        "a base backup is taken every 7 days, and without one the WAL in the bucket leads nowhere.",
      type: setCommand("offsiteKeepDays", { ...definitionOf.offsiteKeepDays, example: "14" }),
    });
  }
  if (values.backendContext)
    problems.push(...missingContext(values.backendContext, values.backendDockerfile));
  problems.push(...samePorts(values));
  return problems;
}

/** Ports of 127.0.0.1 that two containers would have to share. */
function samePorts({ httpAddress, httpPort, databasePort, statusPort }: Partial<Values>): Problem[] {
  const loopback = httpAddress === "0.0.0.0" || httpAddress === "127.0.0.1";
  const taken: [SettingName, number | undefined][] = [
    ["httpPort", loopback ? httpPort : undefined],
    ["databasePort", databasePort],
    ["statusPort", statusPort],
  ];
  return taken.flatMap(([name, port], at) => {
    const other = taken.slice(0, at).find(([, earlier]) => port !== undefined && earlier === port);
    if (!other) return [];
    const what = `${NAMESPACE}:${name} and ${NAMESPACE}:${other[0]} are both ${port}.`;
    return [{ what, type: typeToSet(name) }];
  });
}

function missingContext(context: string, dockerfile = "Dockerfile"): Problem[] {
  const folder = resolve(PROJECT_FOLDER, context);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    return [
      {
        what: `${NAMESPACE}:backendContext is ${JSON.stringify(context)}, and there is no folder ${folder}.`,
        type: typeToSet("backendContext"),
      },
    ];
  }
  if (!statSync(resolve(folder, dockerfile), { throwIfNoEntry: false })?.isFile()) {
    return [
      {
        what: `There is no ${dockerfile} in ${folder}, which ${NAMESPACE}:backendContext names.`,
        type: typeToSet("backendDockerfile"),
      },
    ];
  }
  return [];
}

function describe(problems: readonly Problem[], stack: string): string {
  const title =
    problems.length === 1
      ? `A setting of stack ${stack} is wrong. Nothing was changed.`
      : `${problems.length} settings of stack ${stack} are wrong. Nothing was changed.`;
  const parts = problems.map(({ what, allowed, type }) =>
    [what, ...(allowed ? [`  allowed: ${allowed}`] : []), `  type:    ${type}`].join("\n"),
  );
  return [title, ...parts].join("\n\n");
}

function typeToSet(name: SettingName): string {
  return setCommand(name, definitionOf[name]);
}

function isWebAddress(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

function isFolderOfItsOwn(value: string): boolean {
  const inside = relative(resolve(PROJECT_FOLDER, value), PROJECT_FOLDER);
  return inside.startsWith("..") || isAbsolute(inside);
}
