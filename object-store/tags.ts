import { GetBucketTaggingCommand, PutBucketTaggingCommand } from "@aws-sdk/client-s3";
import type { ObjectStore } from "./client.ts";
import { asking } from "./errors.ts";

/** Gives the bucket these tags. Others that its owner has given it stay. Throws a Stop. */
export async function setTags(store: ObjectStore, tags: Record<string, string>): Promise<void> {
  const before = await readTags(store);
  if (Object.entries(tags).every(([key, value]) => before[key] === value)) return;
  const TagSet = Object.entries({ ...before, ...tags }).map(([Key, Value]) => ({ Key, Value }));
  const { client, bucket: Bucket } = store;
  await asking(store, () => client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } })));
}

async function readTags(store: ObjectStore): Promise<Record<string, string>> {
  return asking(store, async () => {
    try {
      const { TagSet = [] } = await store.client.send(new GetBucketTaggingCommand({ Bucket: store.bucket }));
      return Object.fromEntries(TagSet.map(({ Key = "", Value = "" }) => [Key, Value]));
    } catch (error) {
      if ((error as Error).name === "NoSuchTagSet") return {};
      throw error;
    }
  });
}
