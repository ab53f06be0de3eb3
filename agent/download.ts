import { setTimeout as delay } from "node:timers/promises";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { EXIT, Stop } from "./exit-codes.ts";
import type { ObjectStore } from "./object-store.ts";
import { explainStoreError } from "./store-errors.ts";

/** A download that breaks off more often than this, one time after the other with next to nothing in between, has failed. */
const MOST_CUTS_IN_A_ROW = 4;
/** What must have come since the last cut for the line to count as a good one. */
const PROGRESS_BYTES = 4 * 1024 * 1024;
const FIRST_PAUSE_MS = 250;

/** An object to read, and what is known of it: it must not become another one meanwhile. */
export interface RemoteFile {
  key: string;
  bytes: number;
  /** Without its quotes; null where the store names none. */
  etag: string | null;
}

/**
 * An object's bytes, all of them, in order. A connection that is cut, or silent for too long, is taken up again where it broke.
 * Throws a Stop when the store refuses, when it keeps failing, and when the object is another one by now.
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

/** What is under a key. Throws a Stop; for one that is not there, or holds nothing, too. */
export async function describeObject({ client, ...store }: ObjectStore, key: string): Promise<RemoteFile> {
  try {
    // Not HEAD: its refusals have no body, so they do not say why.
    const answer = await client.send(
      new GetObjectCommand({ Bucket: store.bucket, Key: key, Range: "bytes=0-0" }),
    );
    await answer.Body?.transformToByteArray();
    const bytes = Number(/\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1] ?? answer.ContentLength);
    return { key, bytes, etag: answer.ETag?.replace(/^"|"$/g, "") ?? null };
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
