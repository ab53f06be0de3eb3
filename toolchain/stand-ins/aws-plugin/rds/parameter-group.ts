import {
  CreateDBClusterParameterGroupCommand,
  CreateDBParameterGroupCommand,
  DeleteDBClusterParameterGroupCommand,
  DeleteDBParameterGroupCommand,
  DescribeDBClusterParameterGroupsCommand,
  DescribeDBClusterParametersCommand,
  DescribeDBParameterGroupsCommand,
  DescribeDBParametersCommand,
  ModifyDBClusterParameterGroupCommand,
  ModifyDBParameterGroupCommand,
  type Parameter,
} from "@aws-sdk/client-rds";
import type { Properties } from "../../provider.ts";
import { unless } from "../errors.ts";
import type { Fields } from "../fields.ts";
import type { Kind } from "../kind.ts";
import { changeTags, readTags, tagList } from "./tags.ts";

const fields: Fields = {
  name: { is: "text", replaces: true },
  family: { is: "text", required: true, replaces: true },
  description: { is: "text", default: "Managed by Pulumi", replaces: true },
  parameters: {
    is: "list",
    fields: {
      name: { is: "text", required: true },
      value: { is: "text", required: true },
      applyMethod: { is: "text", default: "immediate" },
    },
  },
  tags: { is: "tags" },
};
const common = {
  fields,
  unsupported: ["namePrefix", "region", "skipDestroy"],
  named: { property: "name", lowerCase: true },
  outputs: ["arn"],
};
const GONE = ["DBParameterGroupNotFoundFault", "DBParameterGroupNotFound"];

export const parameterGroup: Kind = {
  ...common,
  type: "aws:rds/parameterGroup:ParameterGroup",
  create: async (at, inputs) => {
    const DBParameterGroupName = inputs.name as string;
    const answer = await at.rds.send(
      new CreateDBParameterGroupCommand({ DBParameterGroupName, ...described(inputs) }),
    );
    await at.rds.send(
      new ModifyDBParameterGroupCommand({ DBParameterGroupName, Parameters: parameters(inputs) }),
    );
    return { id: DBParameterGroupName, outputs: { arn: answer.DBParameterGroup?.DBParameterGroupArn } };
  },
  read: async (at, id, state) => {
    const asking = at.rds.send(new DescribeDBParameterGroupsCommand({ DBParameterGroupName: id }));
    const [found] = (await unless(GONE, asking))?.DBParameterGroups ?? [];
    if (!found) return undefined;
    const { Parameters = [] } = await at.rds.send(
      new DescribeDBParametersCommand({ DBParameterGroupName: id, Source: "user" }),
    );
    return {
      inputs: {
        name: id,
        family: found.DBParameterGroupFamily,
        description: found.Description,
        parameters: declared(Parameters, state),
        tags: await readTags(at, found.DBParameterGroupArn),
      },
      outputs: { arn: found.DBParameterGroupArn },
    };
  },
  update: async (at, id, news, olds) => {
    const Parameters = parameters(news);
    await at.rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: id, Parameters }));
    await changeTags(at, olds.arn, olds, news);
  },
  remove: async (at, id) => {
    await unless(GONE, at.rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: id })));
  },
};

export const clusterParameterGroup: Kind = {
  ...common,
  type: "aws:rds/clusterParameterGroup:ClusterParameterGroup",
  create: async (at, inputs) => {
    const DBClusterParameterGroupName = inputs.name as string;
    const answer = await at.rds.send(
      new CreateDBClusterParameterGroupCommand({ DBClusterParameterGroupName, ...described(inputs) }),
    );
    await at.rds.send(
      new ModifyDBClusterParameterGroupCommand({
        DBClusterParameterGroupName,
        Parameters: parameters(inputs),
      }),
    );
    const arn = answer.DBClusterParameterGroup?.DBClusterParameterGroupArn;
    return { id: DBClusterParameterGroupName, outputs: { arn } };
  },
  read: async (at, id, state) => {
    const asking = at.rds.send(
      new DescribeDBClusterParameterGroupsCommand({ DBClusterParameterGroupName: id }),
    );
    const [found] = (await unless(GONE, asking))?.DBClusterParameterGroups ?? [];
    if (!found) return undefined;
    const { Parameters = [] } = await at.rds.send(
      new DescribeDBClusterParametersCommand({ DBClusterParameterGroupName: id, Source: "user" }),
    );
    return {
      inputs: {
        name: id,
        family: found.DBParameterGroupFamily,
        description: found.Description,
        parameters: declared(Parameters, state),
        tags: await readTags(at, found.DBClusterParameterGroupArn),
      },
      outputs: { arn: found.DBClusterParameterGroupArn },
    };
  },
  update: async (at, id, news, olds) => {
    const Parameters = parameters(news);
    await at.rds.send(
      new ModifyDBClusterParameterGroupCommand({ DBClusterParameterGroupName: id, Parameters }),
    );
    await changeTags(at, olds.arn, olds, news);
  },
  remove: async (at, id) => {
    const DBClusterParameterGroupName = id;
    await unless(
      GONE,
      at.rds.send(new DeleteDBClusterParameterGroupCommand({ DBClusterParameterGroupName })),
    );
  },
};

function described({ family, description = "Managed by Pulumi", tags }: Properties) {
  return {
    DBParameterGroupFamily: family as string,
    Description: description as string,
    Tags: tagList(tags),
  };
}

interface Declared {
  name: string;
  value: string;
  applyMethod?: string;
}

function parameters({ parameters: given = [] }: Properties): Parameter[] {
  return (given as Declared[]).map(({ name, value, applyMethod = "immediate" }) => ({
    ParameterName: name,
    ParameterValue: value,
    ApplyMethod: applyMethod as "immediate" | "pending-reboot",
  }));
}

/** Those that are set. How a parameter was to be set is not among what the server tells. */
function declared(found: readonly Parameter[], { parameters: known = [] }: Properties): Declared[] {
  return found.flatMap(({ ParameterName: name = "", ParameterValue: value }) => {
    if (value === undefined) return [];
    const applyMethod = (known as Declared[]).find(one => one.name === name)?.applyMethod;
    return [{ name, value, ...(applyMethod === undefined ? {} : { applyMethod }) }];
  });
}
