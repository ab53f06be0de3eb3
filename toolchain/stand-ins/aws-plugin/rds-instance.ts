import {
  CreateDBInstanceCommand,
  type DBInstance,
  DeleteDBInstanceCommand,
  DescribeDBInstancesCommand,
  ModifyDBInstanceCommand,
} from "@aws-sdk/client-rds";
import type { Properties } from "../provider.ts";
import type { Connection } from "./connection.ts";
import { unless } from "./errors.ts";
import type { Kind } from "./kind.ts";
import { askedVersion, untilAvailable } from "./rds-available.ts";
import { logsExported } from "./rds-logs.ts";
import { changeTags, readTags, tagList } from "./rds-tags.ts";

const GONE = ["DBInstanceNotFoundFault", "DBInstanceNotFound"];

export const instance: Kind = {
  type: "aws:rds/instance:Instance",
  fields: {
    identifier: { is: "text", replaces: true },
    engine: { is: "text", required: true, replaces: true },
    engineVersion: { is: "text" },
    dbName: { is: "text", replaces: true },
    username: { is: "text", replaces: true },
    password: { is: "text", local: true },
    instanceClass: { is: "text", required: true },
    allocatedStorage: { is: "number" },
    maxAllocatedStorage: { is: "number" },
    storageType: { is: "text" },
    storageEncrypted: { is: "flag", default: false, replaces: true },
    multiAz: { is: "flag", default: false },
    publiclyAccessible: { is: "flag", default: false },
    deletionProtection: { is: "flag", default: false },
    backupRetentionPeriod: { is: "number", default: 0 },
    copyTagsToSnapshot: { is: "flag", default: false },
    autoMinorVersionUpgrade: { is: "flag", default: true },
    parameterGroupName: { is: "text" },
    dbSubnetGroupName: { is: "text" },
    vpcSecurityGroupIds: { is: "texts" },
    enabledCloudwatchLogsExports: { is: "texts" },
    deleteAutomatedBackups: { is: "flag", default: true, local: true },
    skipFinalSnapshot: { is: "flag", default: false, local: true },
    finalSnapshotIdentifier: { is: "text", local: true },
    applyImmediately: { is: "flag", default: false, local: true },
    tags: { is: "tags" },
  },
  unsupported: [
    "snapshotIdentifier",
    "replicateSourceDb",
    "restoreToPointInTime",
    "manageMasterUserPassword",
  ],
  named: { property: "identifier", lowerCase: true },
  outputs: ["arn", "address", "endpoint", "port", "resourceId", "status"],

  create: async (at, inputs) => {
    const id = inputs.identifier as string;
    await at.rds.send(
      new CreateDBInstanceCommand({
        ...toChange(inputs),
        DBInstanceIdentifier: id,
        Engine: inputs.engine as string,
        EngineVersion: inputs.engineVersion as string,
        DBInstanceClass: inputs.instanceClass as string,
        DBName: inputs.dbName as string,
        MasterUsername: inputs.username as string,
        StorageEncrypted: inputs.storageEncrypted as boolean,
        EnableCloudwatchLogsExports: inputs.enabledCloudwatchLogsExports as string[],
        Tags: tagList(inputs.tags),
      }),
    );
    return { id, outputs: outputs(await available(at, id)) };
  },

  read: async (at, id, state) => {
    const found = await describe(at, id);
    if (!found) return undefined;
    const group = found.DBParameterGroups?.[0]?.DBParameterGroupName;
    const groups = (found.VpcSecurityGroups ?? []).map(({ VpcSecurityGroupId }) => VpcSecurityGroupId);
    return {
      inputs: {
        identifier: id,
        engine: found.Engine,
        engineVersion: askedVersion(state.engineVersion, found.EngineVersion),
        dbName: found.DBName,
        username: found.MasterUsername,
        instanceClass: found.DBInstanceClass,
        // Amazon makes it larger by itself, up to what was allowed.
        allocatedStorage: state.maxAllocatedStorage ? state.allocatedStorage : found.AllocatedStorage,
        maxAllocatedStorage: found.MaxAllocatedStorage ?? state.maxAllocatedStorage,
        storageType: found.StorageType,
        storageEncrypted: found.StorageEncrypted,
        multiAz: found.MultiAZ,
        publiclyAccessible: found.PubliclyAccessible,
        deletionProtection: found.DeletionProtection,
        backupRetentionPeriod: found.BackupRetentionPeriod,
        copyTagsToSnapshot: found.CopyTagsToSnapshot,
        autoMinorVersionUpgrade: found.AutoMinorVersionUpgrade,
        // Those of the account's own, where none were named.
        parameterGroupName: state.parameterGroupName === undefined ? undefined : group,
        dbSubnetGroupName:
          state.dbSubnetGroupName === undefined ? undefined : found.DBSubnetGroup?.DBSubnetGroupName,
        vpcSecurityGroupIds: state.vpcSecurityGroupIds === undefined ? undefined : groups,
        enabledCloudwatchLogsExports: found.EnabledCloudwatchLogsExports,
        tags: await readTags(at, found.DBInstanceArn),
      },
      outputs: outputs(found),
    };
  },

  update: async (at, id, news, olds) => {
    await at.rds.send(
      new ModifyDBInstanceCommand({
        ...toChange(news),
        DBInstanceIdentifier: id,
        DBInstanceClass: news.instanceClass as string,
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
    const skipped = state.skipFinalSnapshot === true;
    const removing = at.rds.send(
      new DeleteDBInstanceCommand({
        DBInstanceIdentifier: id,
        SkipFinalSnapshot: skipped,
        ...(skipped ? {} : { FinalDBSnapshotIdentifier: state.finalSnapshotIdentifier as string }),
        DeleteAutomatedBackups: state.deleteAutomatedBackups !== false,
      }),
    );
    await unless(GONE, removing);
  },
};

function toChange(inputs: Properties) {
  return {
    MasterUserPassword: inputs.password as string,
    AllocatedStorage: inputs.allocatedStorage as number,
    MaxAllocatedStorage: inputs.maxAllocatedStorage as number,
    StorageType: inputs.storageType as string,
    MultiAZ: inputs.multiAz as boolean,
    PubliclyAccessible: inputs.publiclyAccessible as boolean,
    DeletionProtection: inputs.deletionProtection as boolean,
    BackupRetentionPeriod: inputs.backupRetentionPeriod as number,
    CopyTagsToSnapshot: inputs.copyTagsToSnapshot as boolean,
    AutoMinorVersionUpgrade: inputs.autoMinorVersionUpgrade as boolean,
    DBParameterGroupName: inputs.parameterGroupName as string,
    DBSubnetGroupName: inputs.dbSubnetGroupName as string,
    VpcSecurityGroupIds: inputs.vpcSecurityGroupIds as string[],
  };
}

async function describe(at: Connection, id: string): Promise<DBInstance | undefined> {
  const asking = at.rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
  return (await unless(GONE, asking))?.DBInstances?.[0];
}

async function available(at: Connection, id: string): Promise<DBInstance | undefined> {
  let found: DBInstance | undefined;
  await untilAvailable(`the instance ${id}`, async () => {
    found = await describe(at, id);
    return found?.DBInstanceStatus;
  });
  return found;
}

function outputs(found: DBInstance | undefined): Properties {
  const { Address: address, Port: port } = found?.Endpoint ?? {};
  return {
    arn: found?.DBInstanceArn,
    address,
    port,
    endpoint: `${address}:${port}`,
    resourceId: found?.DbiResourceId,
    status: found?.DBInstanceStatus,
  };
}
