import { paginateListObjectsV2 } from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../object-store/client.ts";
import { asking } from "../../object-store/errors.ts";
import { bare } from "./checked-put.ts";

/** An object of this stack, as the store lists it. */
export interface RemoteObject {
  key: string;
  /** The key without the stack's prefix. */
  name: string;
  bytes: number;
  /** Without its quotes. */
  etag: string | null;
  /** When it was put. */
  at: string | null;
  /** `STANDARD` where the store does not say. */
  storageClass: string;
}

/** Every object directly under the stack's prefix, by name. Folders below it belong to others. Throws a Stop. */
export function listObjects(store: ObjectStore): Promise<RemoteObject[]> {
  return list(store, { Prefix: store.prefix, Delimiter: "/" });
}

/** Every object below a prefix that begins with the stack's, in whatever folder. Throws a Stop. */
export function listObjectsBelow(store: ObjectStore, below: string): Promise<RemoteObject[]> {
  return list(store, { Prefix: below });
}

async function list(
  store: ObjectStore,
  where: { Prefix: string; Delimiter?: string },
): Promise<RemoteObject[]> {
  const { client, bucket, prefix } = store;
  return asking(store, async () => {
    const objects: RemoteObject[] = [];
    const pages = paginateListObjectsV2({ client }, { Bucket: bucket, ...where });
    for await (const { Contents = [] } of pages) {
      for (const { Key = "", Size = 0, ETag, LastModified, StorageClass } of Contents) {
        objects.push({
          key: Key,
          name: Key.slice(prefix.length),
          bytes: Size,
          etag: ETag ? bare(ETag) : null,
          at: LastModified?.toISOString() ?? null,
          storageClass: StorageClass ?? "STANDARD",
        });
      }
    }
    return objects.filter(({ name }) => name !== "");
  });
}
