import {
  CreateDBSubnetGroupCommand,
  type DBSubnetGroup,
  DeleteDBSubnetGroupCommand,
  DescribeDBSubnetGroupsCommand,
  ModifyDBSubnetGroupCommand,
} from "@aws-sdk/client-rds";
import type { Properties } from "../../provider.ts";
import { unless } from "../errors.ts";
import type { Kind } from "../kind.ts";
import { changeTags, readTags, tagList } from "./tags.ts";

const GONE = ["DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound"];

export const subnetGroup: Kind = {
  type: "aws:rds/subnetGroup:SubnetGroup",
  fields: {
    name: { is: "text", replaces: true },
    description: { is: "text", default: "Managed by Pulumi" },
    subnetIds: { is: "texts", required: true },
    tags: { is: "tags" },
  },
  unsupported: ["namePrefix", "region"],
  named: { property: "name", lowerCase: true },
  outputs: ["arn", "vpcId"],
  create: async (at, inputs) => {
    const id = inputs.name as string;
    const answer = await at.rds.send(
      new CreateDBSubnetGroupCommand({ DBSubnetGroupName: id, ...told(inputs), Tags: tagList(inputs.tags) }),
    );
    return { id, outputs: outputs(answer.DBSubnetGroup) };
  },
  read: async (at, id) => {
    const asking = at.rds.send(new DescribeDBSubnetGroupsCommand({ DBSubnetGroupName: id }));
    const [found] = (await unless(GONE, asking))?.DBSubnetGroups ?? [];
    if (!found) return undefined;
    return {
      inputs: {
        name: id,
        description: found.DBSubnetGroupDescription,
        subnetIds: (found.Subnets ?? []).map(({ SubnetIdentifier }) => SubnetIdentifier),
        tags: await readTags(at, found.DBSubnetGroupArn),
      },
      outputs: outputs(found),
    };
  },
  update: async (at, id, news, olds) => {
    await at.rds.send(new ModifyDBSubnetGroupCommand({ DBSubnetGroupName: id, ...told(news) }));
    await changeTags(at, olds.arn, olds, news);
  },
  remove: async (at, id) => {
    await unless(GONE, at.rds.send(new DeleteDBSubnetGroupCommand({ DBSubnetGroupName: id })));
  },
};

function told({ description = "Managed by Pulumi", subnetIds }: Properties) {
  return { DBSubnetGroupDescription: description as string, SubnetIds: subnetIds as string[] };
}

function outputs(found: DBSubnetGroup | undefined): Properties {
  return { arn: found?.DBSubnetGroupArn, vpcId: found?.VpcId };
}
