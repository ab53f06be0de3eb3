import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { PROJECT_FOLDER } from "../shared/project-folder.ts";
import {
  boolean,
  integer,
  NAMESPACE,
  optional,
  type Problem,
  removeCommand,
  type SettingDefinition,
  setCommand,
  text,
} from "./definition.ts";

/** A database that Amazon runs. */
export interface ManagedSettings {
  /** `rds`: RDS for PostgreSQL. `aurora`: Aurora PostgreSQL. */
  kind: "rds" | "aurora";
  region: string;
  /** Amazon's name for how much processor and memory it has, e.g. db.t4g.medium. */
  instanceClass: string;
  /** What it begins with, and up to how much it grows by itself. Aurora says it itself. */
  storage: { gigabytes: number; atMostGigabytes: number };
  /** Whether a second machine in another availability zone takes over. */
  multiAz: boolean;
  /** For how many days Amazon keeps snapshots and log of its own. */
  snapshotDays: number;
  /** Empty: those of the account's default VPC. */
  subnets: readonly string[];
  /** Who may connect. Empty: the VPC's default group. */
  securityGroups: readonly string[];
  /** PEM; the authorities that the server's certificate must come from. */
  rootCertificates: string;
  /** Where they are, as the operator wrote it. */
  certificatesFile: string;
}

const DEFAULT_GIGABYTES = 20;
/** Amazon grows the storage in steps; it never shrinks it. */
const GROWS_TO = 10;
const LARGEST_GIGABYTES = 65_536;
/** Amazon grows only what may become a tenth larger, and better a quarter. */
const LARGEST_BEGINNING = 50_000;

const words = (pattern: RegExp, least: number, most: number) =>
  optional(
    z
      .string()
      .transform(value => value.split(/\s+/).filter(Boolean))
      .refine(
        found =>
          found.length >= least &&
          found.length <= most &&
          found.every(word => pattern.test(word)) &&
          new Set(found).size === found.length,
      ),
  );

export const managedDefinitions = {
  database: {
    schema: z.enum(["container", "rds", "aurora"]),
    allowed: "container, rds or aurora",
    example: "rds",
  },
  databaseInstanceClass: {
    schema: text(/^db\.[a-z0-9-]+\.[a-z0-9-]+$/),
    allowed: "the name of one of Amazon's instance classes, which begins with db.",
    example: "db.m7g.large",
  },
  databaseStorageGigabytes: {
    schema: optional(integer(DEFAULT_GIGABYTES, LARGEST_BEGINNING), "0"),
    allowed: `a whole number of gigabytes from ${DEFAULT_GIGABYTES} to ${LARGEST_BEGINNING}, or 0`,
    example: "100",
  },
  databaseMultiAz: { schema: boolean, allowed: "true or false", example: "true" },
  databaseSnapshotDays: {
    schema: integer(1, 35),
    allowed: "a whole number of days from 1 to 35",
    example: "14",
  },
  databaseSubnets: {
    schema: words(/^subnet-[0-9a-f]{8,17}$/, 2, 20),
    allowed:
      "two or more subnets in different availability zones, such as subnet-0123456789abcdef0, with spaces between them; or nothing",
    example: "subnet-0123456789abcdef0 subnet-0fedcba9876543210",
  },
  databaseSecurityGroups: {
    schema: words(/^sg-[0-9a-f]{8,17}$/, 1, 5),
    allowed:
      "one to five security groups, such as sg-0123456789abcdef0, with spaces between them; or nothing",
    example: "sg-0123456789abcdef0",
  },
  databaseCertificates: {
    schema: optional(text(/^\P{Cc}+$/u)),
    allowed: "a file of certificates in PEM, or nothing",
    example: "./rds-certificates.pem",
  },
} satisfies Record<string, SettingDefinition>;

type ManagedValues = {
  [Name in keyof typeof managedDefinitions]: z.output<(typeof managedDefinitions)[Name]["schema"]>;
};

/** What a managed database cannot have, or must have in another way. */
interface OtherValues {
  region: string;
  databaseName: string;
  databasePassword: string | undefined;
  databasePort: number | undefined;
  pointInTime: boolean;
  replicaHosts: readonly string[] | undefined;
  backends: number;
}

/** Settings that are fine alone and wrong together. */
export function managedProblems(values: Partial<ManagedValues & OtherValues>): Problem[] {
  if (values.database === undefined) return [];
  return values.database === "container" ? needless(values) : [...missing(values), ...unfitting(values)];
}

function needless(values: Partial<ManagedValues>): Problem[] {
  const names = [
    "databaseStorageGigabytes",
    "databaseSubnets",
    "databaseSecurityGroups",
    "databaseCertificates",
  ] as const;
  return names
    .filter(name => values[name] !== undefined)
    .map(name => ({
      what: `${NAMESPACE}:${name} is set, but the database is a container of the stack's own (${NAMESPACE}:database), which has no use for it.`,
      type: removeCommand(name),
    }));
}

function missing({ databaseCertificates: file }: Partial<ManagedValues>): Problem[] {
  const problem = (what: string): Problem[] => [
    {
      what,
      allowed:
        "a file with the certificates of Amazon's authorities for this region: docs/managed-database.md",
      type: setCommand("databaseCertificates", managedDefinitions.databaseCertificates),
    },
  ];
  if (file === undefined)
    return problem(
      `${NAMESPACE}:databaseCertificates is not set, so nobody could check that the server is Amazon's.`,
    );
  try {
    if (readCertificates(file).includes("-----BEGIN CERTIFICATE-----")) return [];
    return problem(
      `${NAMESPACE}:databaseCertificates is ${JSON.stringify(file)}, and there is no certificate in that file.`,
    );
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "is not there" : "cannot be read";
    return problem(`${NAMESPACE}:databaseCertificates is ${JSON.stringify(file)}, and that file ${why}.`);
  }
}

function unfitting(values: Partial<ManagedValues & OtherValues>): Problem[] {
  const { database, databaseName = "", databasePassword } = values;
  const managed = `a managed database (${NAMESPACE}:database is ${database})`;
  const problems: Problem[] = [];
  const refuse = (name: string, why: string) =>
    problems.push({
      what: `${NAMESPACE}:${name} is set, but ${managed} ${why}.`,
      type: removeCommand(name),
    });
  if (values.replicaHosts) refuse("replicaHosts", "cannot be followed by replicas of the stack's own");
  if (values.pointInTime)
    refuse("pointInTime", "gives its WAL to nobody; Amazon keeps it, and goes back to a moment with it");
  if ((values.backends ?? 1) > 1)
    refuse(
      "backends",
      "is for one backend: several are given neither its certificates nor its connections yet",
    );
  if (values.databasePort !== undefined)
    refuse("databasePort", "has an address of its own, and no port of 127.0.0.1");
  if (database === "aurora" && values.databaseStorageGigabytes !== undefined)
    refuse("databaseStorageGigabytes", "takes the storage that it needs by itself");
  if (databaseName.startsWith("_"))
    problems.push({
      what: `${NAMESPACE}:databaseName begins with an underscore, and the name in ${managed} begins with a letter.`,
      type: `npm run pulumi -- config set ${NAMESPACE}:databaseName ${databaseName.replace(/^_+/, "") || "budgie"}`,
    });
  if (databasePassword !== undefined && (/[/"@]/.test(databasePassword) || databasePassword.length > 128))
    problems.push({
      what: `${NAMESPACE}:databasePassword has a /, a " or an @, or more than 128 characters, which ${managed} does not take.`,
      type: `npm run pulumi -- config set --secret ${NAMESPACE}:databasePassword`,
    });
  return problems;
}

/** Undefined where the database is a container of the stack's own. */
export function toManaged(values: ManagedValues & Pick<OtherValues, "region">): ManagedSettings | undefined {
  const { database, databaseCertificates } = values;
  if (database === "container" || databaseCertificates === undefined) return undefined;
  const gigabytes = values.databaseStorageGigabytes ?? DEFAULT_GIGABYTES;
  return {
    kind: database,
    region: values.region,
    instanceClass: values.databaseInstanceClass,
    storage: { gigabytes, atMostGigabytes: Math.min(gigabytes * GROWS_TO, LARGEST_GIGABYTES) },
    multiAz: values.databaseMultiAz,
    snapshotDays: values.databaseSnapshotDays,
    subnets: values.databaseSubnets ?? [],
    securityGroups: values.databaseSecurityGroups ?? [],
    rootCertificates: readCertificates(databaseCertificates),
    certificatesFile: databaseCertificates,
  };
}

function readCertificates(file: string): string {
  return readFileSync(resolve(PROJECT_FOLDER, file), "utf8");
}
