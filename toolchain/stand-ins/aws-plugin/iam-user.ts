import {
  CreateUserCommand,
  DeleteUserCommand,
  GetUserCommand,
  TagUserCommand,
  UntagUserCommand,
  UpdateUserCommand,
  type User,
} from "@aws-sdk/client-iam";
import type { Properties } from "../provider.ts";
import { unless } from "./errors.ts";
import type { Kind } from "./kind.ts";

export const user: Kind = {
  type: "aws:iam/user:User",
  fields: {
    // The official plugin renames a user in place; here its id is its name, which cannot change.
    name: { is: "text", replaces: true },
    path: { is: "text", default: "/" },
    tags: { is: "tags" },
  },
  unsupported: ["forceDestroy", "permissionsBoundary"],
  named: { property: "name", lowerCase: false },
  outputs: ["arn", "uniqueId"],
  create: async (at, inputs) => {
    const id = inputs.name as string;
    const Tags = listOf(inputs.tags);
    const answer = await at.iam.send(
      new CreateUserCommand({
        UserName: id,
        Path: (inputs.path as string | undefined) ?? "/",
        ...(Tags.length > 0 ? { Tags } : {}),
      }),
    );
    return { id, outputs: outputs(answer.User) };
  },
  read: async (at, id) => {
    const answer = await unless(["NoSuchEntity"], at.iam.send(new GetUserCommand({ UserName: id })));
    if (!answer?.User) return undefined;
    const tags = Object.fromEntries((answer.User.Tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
    return { inputs: { name: id, path: answer.User.Path, tags }, outputs: outputs(answer.User) };
  },
  update: async (at, id, news, olds) => {
    const NewPath = (news.path as string | undefined) ?? "/";
    if (NewPath !== (olds.path ?? "/")) await at.iam.send(new UpdateUserCommand({ UserName: id, NewPath }));
    const Tags = listOf(news.tags);
    const kept = Tags.map(({ Key }) => Key);
    const TagKeys = listOf(olds.tags)
      .map(({ Key }) => Key)
      .filter(key => !kept.includes(key));
    if (TagKeys.length > 0) await at.iam.send(new UntagUserCommand({ UserName: id, TagKeys }));
    if (Tags.length > 0) await at.iam.send(new TagUserCommand({ UserName: id, Tags }));
  },
  remove: async (at, id) =>
    void (await unless(["NoSuchEntity"], at.iam.send(new DeleteUserCommand({ UserName: id })))),
};

function outputs(found: User | undefined): Properties {
  return { arn: found?.Arn, uniqueId: found?.UserId };
}

function listOf(tags: unknown): { Key: string; Value: string }[] {
  return Object.entries((tags ?? {}) as Record<string, string>).map(([Key, Value]) => ({ Key, Value }));
}
