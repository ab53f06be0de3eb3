import {
  CreateDBClusterCommand,
  type DBCluster,
  DeleteDBClusterCommand,
  DescribeDBClustersCommand,
  ModifyDBClusterCommand,
} from "@aws-sdk/client-rds";
import type { Properties } from "../../provider.ts";
import type { Connection } from "../connection.ts";
import { unless } from "../errors.ts";
import type { Kind } from "../kind.ts";
import { askedVersion, untilAvailable } from "./available.ts";
import { lastSnapshot } from "./last-snapshot.ts";
import { logsExported } from "./logs.ts";
import { changeTags, readTags, tagList } from "./tags.ts";

const GONE = ["DBClusterNotFoundFault", "DBClusterNotFound"];

export const cluster: Kind = {
  type: "aws:rds/cluster:Cluster",
  fields: {
    clusterIdentifier: { is: "text", replaces: true },
    engine: { is: "text", required: true, replaces: true },
    engineVersion: { is: "text" },
    databaseName: { is: "text", replaces: true },
    masterUsername: { is: "text", replaces: true },
    masterPassword: { is: "text", local: true },
    storageEncrypted: { is: "flag", default: false, replaces: true },
    deletionProtection: { is: "flag", default: false },
    backupRetentionPeriod: { is: "number", default: 1 },
    copyTagsToSnapshot: { is: "flag", default: false },
    dbClusterParameterGroupName: { is: "text" },
    dbSubnetGroupName: { is: "text", replaces: true },
    vpcSecurityGroupIds: { is: "texts" },
    enabledCloudwatchLogsExports: { is: "texts" },
    skipFinalSnapshot: { is: "flag", default: false, local: true },
    finalSnapshotIdentifier: { is: "text", local: true },
    applyImmediately: { is: "flag", default: false, local: true },
    tags: { is: "tags" },
  },
  unsupported: [
    "snapshotIdentifier",
    "replicationSourceIdentifier",
    "restoreToPointInTime",
    "manageMasterUserPassword",
  ],
  named: { property: "clusterIdentifier", lowerCase: true },
  outputs: ["arn", "endpoint", "readerEndpoint", "port", "clusterResourceId"],

  create: async (at, inputs) => {
    const id = inputs.clusterIdentifier as string;
    await at.rds.send(
      new CreateDBClusterCommand({
        ...toChange(inputs),
        DBClusterIdentifier: id,
        Engine: inputs.engine as string,
        EngineVersion: inputs.engineVersion as string,
        DatabaseName: inputs.databaseName as string,
        MasterUsername: inputs.masterUsername as string,
        StorageEncrypted: inputs.storageEncrypted as boolean,
        DBSubnetGroupName: inputs.dbSubnetGroupName as string,
        EnableCloudwatchLogsExports: inputs.enabledCloudwatchLogsExports as string[],
        Tags: tagList(inputs.tags),
      }),
    );
    return { id, outputs: outputs(await available(at, id)) };
  },

  read: async (at, id, state) => {
    const found = await describe(at, id);
    if (!found) return undefined;
    const groups = (found.VpcSecurityGroups ?? []).map(({ VpcSecurityGroupId }) => VpcSecurityGroupId);
    return {
      inputs: {
        clusterIdentifier: id,
        engine: found.Engine,
        engineVersion: askedVersion(state.engineVersion, found.EngineVersion),
        databaseName: found.DatabaseName,
        masterUsername: found.MasterUsername,
        storageEncrypted: found.StorageEncrypted,
        deletionProtection: found.DeletionProtection,
        backupRetentionPeriod: found.BackupRetentionPeriod,
        copyTagsToSnapshot: found.CopyTagsToSnapshot,
        // Those of the account's own, where none were named.
        dbClusterParameterGroupName:
          state.dbClusterParameterGroupName === undefined ? undefined : found.DBClusterParameterGroup,
        dbSubnetGroupName: state.dbSubnetGroupName === undefined ? undefined : found.DBSubnetGroup,
        vpcSecurityGroupIds: state.vpcSecurityGroupIds === undefined ? undefined : groups,
        enabledCloudwatchLogsExports: found.EnabledCloudwatchLogsExports,
        tags: await readTags(at, found.DBClusterArn),
      },
      outputs: outputs(found),
    };
  },

  update: async (at, id, news, olds) => {
    await at.rds.send(
      new ModifyDBClusterCommand({
        ...toChange(news),
        DBClusterIdentifier: id,
        ...(news.engineVersion === olds.engineVersion ? {} : { EngineVersion: news.engineVersion as string }),
        ...logsExported(olds, news),
        ApplyImmediately: news.applyImmediately === true,
      }),
    );
    await available(at, id);
    await changeTags(at, olds.arn, olds, news);
  },

  /** Amazon refuses one that is protected. */
  remove: async (at, id, state) => {
    const removing = at.rds.send(
      new DeleteDBClusterCommand({
        DBClusterIdentifier: id,
        ...lastSnapshot(state),
      }),
    );
    await unless(GONE, removing);
  },
};

function toChange(inputs: Properties) {
  return {
    MasterUserPassword: inputs.masterPassword as string,
    DeletionProtection: inputs.deletionProtection as boolean,
    BackupRetentionPeriod: inputs.backupRetentionPeriod as number,
    CopyTagsToSnapshot: inputs.copyTagsToSnapshot as boolean,
    DBClusterParameterGroupName: inputs.dbClusterParameterGroupName as string,
    VpcSecurityGroupIds: inputs.vpcSecurityGroupIds as string[],
  };
}

async function describe(at: Connection, id: string): Promise<DBCluster | undefined> {
  const asking = at.rds.send(new DescribeDBClustersCommand({ DBClusterIdentifier: id }));
  return (await unless(GONE, asking))?.DBClusters?.[0];
}

function available(at: Connection, id: string): Promise<DBCluster> {
  return untilAvailable(
    `the cluster ${id}`,
    () => describe(at, id),
    ({ Status: status }) => status,
  );
}

function outputs(found: DBCluster): Properties {
  return {
    arn: found.DBClusterArn,
    endpoint: found.Endpoint,
    readerEndpoint: found.ReaderEndpoint,
    port: found.Port,
    clusterResourceId: found.DbClusterResourceId,
  };
}
