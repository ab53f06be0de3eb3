import {
  CreateDBInstanceCommand,
  type DBInstance,
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
} from "@aws-sdk/client-rds";
import type { Properties } from "../../provider.ts";
import { unless } from "../errors.ts";
import type { Kind } from "../kind.ts";
import { askedVersion } from "./available.ts";
import { lastSnapshot } from "./last-snapshot.ts";
import { logsExported } from "./logs.ts";
import { availableInstance, describeInstance, NO_INSTANCE } from "./one-instance.ts";
import { changeTags, readTags, tagList } from "./tags.ts";

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
    return { id, outputs: outputs(await availableInstance(at, id)) };
  },

  read: async (at, id, state) => {
    const found = await describeInstance(at, id);
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
    await availableInstance(at, id);
    await changeTags(at, olds.arn, olds, news);
  },

  /** Amazon refuses one that is protected. */
  remove: async (at, id, state) => {
    const removing = at.rds.send(
      new DeleteDBInstanceCommand({
        DBInstanceIdentifier: id,
        ...lastSnapshot(state),
        DeleteAutomatedBackups: state.deleteAutomatedBackups !== false,
      }),
    );
    await unless(NO_INSTANCE, removing);
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

function outputs(found: DBInstance): Properties {
  const { Address: address, Port: port } = found.Endpoint ?? {};
  return {
    arn: found.DBInstanceArn,
    address,
    port,
    endpoint: `${address}:${port}`,
    resourceId: found.DbiResourceId,
    status: found.DBInstanceStatus,
  };
}
