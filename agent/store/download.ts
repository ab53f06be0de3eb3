import { setTimeout as delay } from "node:timers/promises";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../object-store/client.ts";
import { explainStoreError } from "../../object-store/errors.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { bare } from "./checked-put.ts";

/** A download has failed when it breaks off more often than this in a row, with next to nothing received in between. */
const MOST_CUTS_IN_A_ROW = 4;
/** How much must have come since the last cut for the line to count as a good one. */
const PROGRESS_BYTES = 4 * 1024 * 1024;
const FIRST_PAUSE_MS = 250;

/** An object to read, and what is known of it. It must not become another one while it is read. */
export interface RemoteFile {
  key: string;
  bytes: number;
  /** Without its quotes; null where the store names none. */
  etag: string | null;
}

/**
 * All bytes of an object, in order. When the connection is cut, or silent for too long, the download goes on where it broke. Throws
 * a Stop when the store refuses or keeps failing, and when the object has become another one.
 */
export async function* download(store: ObjectStore, file: RemoteFile): AsyncGenerator<Buffer> {
  let [at, cuts, lastCutAt] = [0, 0, 0];
  while (at < file.bytes) {
    try {
      for await (const chunk of await openAt(store, file, at)) {
        at += chunk.length;
        yield chunk;
      }
      if (at < file.bytes) throw Object.assign(new Error("it ended early"), { code: "ECONNRESET" });
    } catch (error) {
      const explained = explainStoreError(error, store);
      const mayPass = explained instanceof Stop && explained.code === EXIT.storeUnreachable;
      // A store that does not answer the very first request was asked four times already.
      if (!mayPass || at === 0) throw explained;
      cuts = at - lastCutAt >= PROGRESS_BYTES ? 1 : cuts + 1;
      lastCutAt = at;
      if (cuts > MOST_CUTS_IN_A_ROW) throw explained;
      await delay(FIRST_PAUSE_MS * 2 ** cuts);
    }
  }
  if (at > file.bytes) throw changed(store, file);
}

/** What is under a key. Throws a Stop, also when nothing is there, or the object is empty. */
export async function describeObject({ client, ...store }: ObjectStore, key: string): Promise<RemoteFile> {
  try {
    // Not HEAD: its refusals have no body, so they do not say why.
    const answer = await client.send(
      new GetObjectCommand({ Bucket: store.bucket, Key: key, Range: "bytes=0-0" }),
    );
    await answer.Body?.transformToByteArray();
    const bytes = Number(/\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1] ?? answer.ContentLength);
    return { key, bytes, etag: answer.ETag ? bare(answer.ETag) : null };
  } catch (error) {
    const { name } = error as Error;
    if (name !== "NoSuchKey" && name !== "InvalidRange") throw explainStoreError(error, store);
    throw new Stop(
      EXIT.unusableBackup,
      name === "NoSuchKey"
        ? `There is no object ${key} in ${store.shown}.`
        : `${store.shown}/${key} is empty.`,
      "`npx budgie list --remote` shows what is there.",
    );
  }
}

async function openAt(store: ObjectStore, file: RemoteFile, at: number): Promise<AsyncIterable<Buffer>> {
  const { Body, ContentRange } = await store.client.send(
    new GetObjectCommand({
      Bucket: store.bucket,
      Key: file.key,
      ...(file.etag === null ? {} : { IfMatch: `"${file.etag}"` }),
      ...(at === 0 ? {} : { Range: `bytes=${at}-` }),
    }),
  );
  if (at > 0 && !ContentRange?.startsWith(`bytes ${at}-`)) throw changed(store, file);
  return Body as unknown as AsyncIterable<Buffer>;
}

function changed({ shown }: ObjectStore, { key }: RemoteFile): Stop {
  return new Stop(
    EXIT.storeRefused,
    `${shown}/${key} is not the object that was listed any more, or the store cannot go on where a download broke off.`,
    "Run the same command again.",
  );
}
