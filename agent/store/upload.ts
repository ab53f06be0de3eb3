import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
} from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../object-store/client.ts";
import { explainStoreError, isAlreadyThere, isUploadGone, notAStore } from "../../object-store/errors.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Progress, Reporter } from "../base/reporter.ts";
import { openEncrypting } from "../encryption/encrypting-reader.ts";
import { type LocalFile, openProven, type ProvenReader } from "../encryption/proven-reader.ts";
import { bare, putChecked, type ReceivedPart, requireComposed, uploadPartChecked } from "./checked-put.ts";

const MB = 1024 * 1024;
/** Stores take 10,000 parts at most. */
const MOST_PARTS = 9000;
/** How much may wait in memory for the network. */
const BUFFERED_BYTES = 48 * MB;

/** What everything that sends to a store needs. */
export interface Sending {
  settings: AgentSettings;
  store: ObjectStore;
  report: Reporter;
  signal: AbortSignal;
}

/** What the store said of an object. Both are null when it was there already: then the store says nothing. */
export interface Stored {
  etag: string | null;
  versionId: string | null;
}

/**
 * Sends a file under a key that nothing has yet, with memory that does not grow with the file. Encrypts it where there are
 * recipients. An object that is there already counts as sent, because its key holds the content's hash.
 *
 * Nothing appears under the key before every byte was read, hashed, found to be what `file` says, and confirmed by the store.
 * Throws a Stop for a file that was changed, and for a store that fails. What was sent of it is discarded.
 */
export async function upload(
  { settings: { recipients }, store, signal }: Sending,
  key: string,
  file: LocalFile,
  progress: Progress,
): Promise<Stored> {
  for (let attempt = 1; ; attempt++) {
    const reader = await (recipients.length > 0 ? openEncrypting(file, recipients) : openProven(file));
    try {
      return await uploadOnce({ store, key, reader, progress, signal });
    } catch (error) {
      if (isAlreadyThere(error)) return { etag: null, versionId: null };
      // The answer to its completion may have been lost: then the next try finds the key taken. Or the store ended it.
      if (isUploadGone(error) && attempt === 1) continue;
      throw explainStoreError(error, store);
    } finally {
      await reader.close();
    }
  }
}

/** Puts a small text, or its encryption, under a key that nothing has yet. One that is there already counts as put. */
export async function putText(store: ObjectStore, key: string, text: string | Buffer): Promise<void> {
  try {
    await putChecked(store.client, {
      ...target(store, key),
      Body: Buffer.from(text as string),
      ContentType: typeof text === "string" ? "application/json" : "application/octet-stream",
      IfNoneMatch: "*",
    });
  } catch (error) {
    if (!isAlreadyThere(error)) throw explainStoreError(error, store);
  }
}

/** How a file is cut: into parts so large that there are not too many, with as many at once as memory allows. */
export function planParts(bytes: number): { partBytes: number; atOnce: number } {
  const partBytes = Math.max(8 * MB, Math.ceil(bytes / MOST_PARTS));
  return { partBytes, atOnce: Math.max(1, Math.floor(BUFFERED_BYTES / partBytes)) };
}

interface Upload {
  store: ObjectStore;
  key: string;
  reader: ProvenReader;
  progress: Progress;
  signal: AbortSignal;
}

async function uploadOnce(running: Upload): Promise<Stored> {
  const { store, key, reader, signal } = running;
  const { partBytes, atOnce } = planParts(reader.file.bytes);
  if (reader.file.bytes > partBytes) return uploadInParts(running, partBytes, atOnce);
  const Body = Buffer.allocUnsafeSlow(reader.file.bytes);
  await reader.next(Body);
  signal.throwIfAborted();
  const answer = await putChecked(store.client, { ...target(store, key), Body, IfNoneMatch: "*" });
  return stored(answer);
}

/** A failed attempt removes its parts, as far as the store lets it. The bucket's lifecycle removes the rest. */
async function uploadInParts(running: Upload, partBytes: number, atOnce: number): Promise<Stored> {
  const { client } = running.store;
  const object = target(running.store, running.key);
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: "SHA256" }),
  );
  // Something that is no store may answer 200 to anything.
  if (!UploadId) throw notAStore(running.store);
  const parts = { ...object, UploadId };
  try {
    const received = await sendParts(running, parts, partBytes, atOnce);
    const answer = await client.send(
      new CompleteMultipartUploadCommand({
        ...parts,
        IfNoneMatch: "*",
        MultipartUpload: { Parts: received.map(completed) },
      }),
    );
    requireComposed(running.key, answer, received);
    return stored(answer);
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand(parts)).catch(() => undefined);
    throw error;
  }
}

/** Sends several parts at once, each from a buffer of its own that is used again. The first failure ends all. */
async function sendParts(
  { store, reader, progress, signal }: Upload,
  upload: { Bucket: string; Key: string; UploadId: string },
  partBytes: number,
  atOnce: number,
): Promise<ReceivedPart[]> {
  const received: ReceivedPart[] = [];
  const failures: unknown[] = [];
  let sentBytes = 0;
  const send = async () => {
    const buffer = Buffer.allocUnsafeSlow(partBytes);
    while (failures.length === 0) {
      signal.throwIfAborted();
      const part = await reader.next(buffer);
      if (part === null) return;
      received.push(
        await uploadPartChecked(store.client, { ...upload, Body: part.bytes, PartNumber: part.number }),
      );
      sentBytes += part.bytes.length;
      progress.at(sentBytes);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, () => send().catch(error => failures.push(error))));
  if (failures.length > 0) throw failures[0];
  return received.sort((a, b) => a.number - b.number);
}

function completed({ number, sha256, etag }: ReceivedPart) {
  return { PartNumber: number, ETag: `"${etag}"`, ChecksumSHA256: sha256.toString("base64") };
}

function target({ bucket }: ObjectStore, key: string) {
  return { Bucket: bucket, Key: key };
}

function stored(answer: { ETag?: string | undefined; VersionId?: string | undefined }): Stored {
  const versionId = answer.VersionId === "null" ? null : (answer.VersionId ?? null);
  return { etag: answer.ETag ? bare(answer.ETag) : null, versionId };
}
