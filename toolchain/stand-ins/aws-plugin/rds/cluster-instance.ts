import {
  CreateDBInstanceCommand,
  type DBInstance,
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
} from "@aws-sdk/client-rds";
import type { Properties } from "../../provider.ts";
import { unless } from "../errors.ts";
import type { Kind } from "../kind.ts";
import { availableInstance, describeInstance, NO_INSTANCE } from "./one-instance.ts";
import { changeTags, readTags, tagList } from "./tags.ts";

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
    return { id, outputs: outputs(await availableInstance(at, id)) };
  },
  read: async (at, id) => {
    const found = await describeInstance(at, id);
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
    await availableInstance(at, id);
    await changeTags(at, olds.arn, olds, news);
  },
  /** The data is the cluster's, so there is nothing to take a snapshot of. */
  remove: async (at, id) => {
    const removing = new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true });
    await unless(NO_INSTANCE, at.rds.send(removing));
  },
};

function toChange(inputs: Properties) {
  return {
    DBInstanceClass: inputs.instanceClass as string,
    PubliclyAccessible: inputs.publiclyAccessible as boolean,
    AutoMinorVersionUpgrade: inputs.autoMinorVersionUpgrade as boolean,
  };
}

function outputs(found: DBInstance): Properties {
  return {
    arn: found.DBInstanceArn,
    endpoint: found.Endpoint?.Address,
    port: found.Endpoint?.Port,
    dbiResourceId: found.DbiResourceId,
  };
}
