import type { ClusterArgs } from "@pulumi/aws/rds/cluster.js";
import type { ClusterInstanceArgs } from "@pulumi/aws/rds/clusterInstance.js";
import type { InstanceArgs } from "@pulumi/aws/rds/instance.js";
import type { ResourceValidationPolicy } from "@pulumi/policy";
import { ofType } from "./resource-of-type.ts";

export const INSTANCE = "aws:rds/instance:Instance";
export const CLUSTER = "aws:rds/cluster:Cluster";
export const CLUSTER_INSTANCE = "aws:rds/clusterInstance:ClusterInstance";

/** What both must be told. */
type Data = Pick<
  InstanceArgs & ClusterArgs,
  "storageEncrypted" | "deletionProtection" | "skipFinalSnapshot" | "backupRetentionPeriod"
>;

function wrongOf(data: { [Name in keyof Data]?: unknown }): string[] {
  return [
    ...(data.storageEncrypted === true ? [] : ["its storage is in plain text. Type: storageEncrypted: true"]),
    ...(data.deletionProtection === true ? [] : ["one call deletes it. Type: deletionProtection: true"]),
    ...(data.skipFinalSnapshot === true
      ? ["whoever deletes it leaves nothing. Type: skipFinalSnapshot: false"]
      : []),
    ...(data.backupRetentionPeriod === 0
      ? ["Amazon keeps no backups of it. Type: backupRetentionPeriod: 7"]
      : []),
  ];
}

export const managedDatabaseIsKept: ResourceValidationPolicy = {
  name: "managed-database-is-kept",
  description:
    "A database that Amazon runs is encrypted, protected from deletion, backed up, and leaves a snapshot.",
  severity: "critical",
  validateResource: [
    ofType<InstanceArgs>(INSTANCE, (instance, { name }, report) => {
      for (const wrong of wrongOf(instance)) report(`The database ${name} is not safe: ${wrong}`);
    }),
    ofType<ClusterArgs>(CLUSTER, (cluster, { name }, report) => {
      for (const wrong of wrongOf(cluster)) report(`The database ${name} is not safe: ${wrong}`);
    }),
  ],
};

export const managedDatabaseIsNotPublic: ResourceValidationPolicy = {
  name: "managed-database-is-not-public",
  description: "A database that Amazon runs has no address of the internet.",
  severity: "critical",
  validateResource: [
    ofType<InstanceArgs>(INSTANCE, ({ publiclyAccessible }, { name }, report) => {
      if (publiclyAccessible === true) report(isPublic(name));
    }),
    ofType<ClusterInstanceArgs>(CLUSTER_INSTANCE, ({ publiclyAccessible }, { name }, report) => {
      if (publiclyAccessible === true) report(isPublic(name));
    }),
  ],
};

function isPublic(name: string): string {
  return `The database ${name} has an address of the internet, where everybody may try its password. Type: publiclyAccessible: false`;
}
