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
import { untilAvailable } from "./rds-available.ts";
import { changeTags, readTags, tagList } from "./rds-tags.ts";

const GONE = ["DBInstanceNotFoundFault", "DBInstanceNotFound"];

export const clusterInstance: Kind = {
  type: "aws:rds/clusterInstance:ClusterInstance",
  fields: {
    identifier: { is: "text", replaces: true },
    clusterIdentifier: { is: "text", required: true, replaces: true },
    engine: { is: "text", required: true, replaces: true },
    instanceClass: { is: "text", required: true },
    publiclyAccessible: { is: "flag", default: false },
    autoMinorVersionUpgrade: { is: "flag", default: true },
    applyImmediately: { is: "flag", default: false, local: true },
    tags: { is: "tags" },
  },
  unsupported: [
    "identifierPrefix",
    "dbParameterGroupName",
    "dbSubnetGroupName",
    "engineVersion",
    "promotionTier",
  ],
  named: { property: "identifier", lowerCase: true },
  outputs: ["arn", "endpoint", "port", "dbiResourceId"],
  create: async (at, inputs) => {
    const id = inputs.identifier as string;
    await at.rds.send(
      new CreateDBInstanceCommand({
        ...toChange(inputs),
        DBInstanceIdentifier: id,
        DBClusterIdentifier: inputs.clusterIdentifier as string,
        Engine: inputs.engine as string,
        Tags: tagList(inputs.tags),
      }),
    );
    return { id, outputs: outputs(await available(at, id)) };
  },
  read: async (at, id) => {
    const found = await describe(at, id);
    if (!found) return undefined;
    return {
      inputs: {
        identifier: id,
        clusterIdentifier: found.DBClusterIdentifier,
        engine: found.Engine,
        instanceClass: found.DBInstanceClass,
        publiclyAccessible: found.PubliclyAccessible,
        autoMinorVersionUpgrade: found.AutoMinorVersionUpgrade,
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
        ApplyImmediately: news.applyImmediately === true,
      }),
    );
    await available(at, id);
    await changeTags(at, olds.arn, olds, news);
  },
  /** The data is the cluster's, so there is nothing to take a snapshot of. */
  remove: async (at, id) => {
    const removing = new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true });
    await unless(GONE, at.rds.send(removing));
  },
};

function toChange(inputs: Properties) {
  return {
    DBInstanceClass: inputs.instanceClass as string,
    PubliclyAccessible: inputs.publiclyAccessible as boolean,
    AutoMinorVersionUpgrade: inputs.autoMinorVersionUpgrade as boolean,
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
  return {
    arn: found?.DBInstanceArn,
    endpoint: found?.Endpoint?.Address,
    port: found?.Endpoint?.Port,
    dbiResourceId: found?.DbiResourceId,
  };
}
