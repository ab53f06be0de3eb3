import {
  AddTagsToResourceCommand,
  ListTagsForResourceCommand,
  RemoveTagsFromResourceCommand,
} from "@aws-sdk/client-rds";
import type { Properties } from "../../provider.ts";
import type { Connection } from "../connection.ts";

export function tagList(tags: unknown): { Key: string; Value: string }[] {
  return Object.entries((tags ?? {}) as Record<string, string>).map(([Key, Value]) => ({ Key, Value }));
}

export async function readTags(at: Connection, arn: string | undefined): Promise<Record<string, string>> {
  const answer = await at.rds.send(new ListTagsForResourceCommand({ ResourceName: arn }));
  return Object.fromEntries((answer.TagList ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
}

/** Changes only what differs. */
export async function changeTags(
  at: Connection,
  arn: unknown,
  { tags: olds }: Properties,
  { tags: news }: Properties,
) {
  const ResourceName = arn as string;
  const Tags = tagList(news);
  const kept = Tags.map(({ Key }) => Key);
  const TagKeys = tagList(olds)
    .map(({ Key }) => Key)
    .filter(key => !kept.includes(key));
  if (TagKeys.length > 0) await at.rds.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys }));
  if (Tags.length > 0) await at.rds.send(new AddTagsToResourceCommand({ ResourceName, Tags }));
}
