import { createHash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import {
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
  type UploadPartCommandInput,
} from "@aws-sdk/client-s3";
import { EXIT, Stop } from "./exit-codes.ts";

/** What a store says of a body or of an object. */
interface Answer {
  ETag?: string | undefined;
  ChecksumSHA256?: string | undefined;
}

/** A part that the store is known to have. */
export interface ReceivedPart {
  number: number;
  sha256: Buffer;
  /** Without its quotes. */
  etag: string;
}

/**
 * Puts an object whole. Its SHA-256 goes with it, so that the store refuses what was changed on the way, and the store's
 * answer must confirm it. Throws what the client throws, or a Stop where the answer does not.
 */
export async function putChecked(client: S3Client, input: PutObjectCommandInput & { Body: Buffer }) {
  const sha256 = createHash("sha256").update(input.Body).digest();
  const answer = await client.send(
    new PutObjectCommand({ ...input, ChecksumSHA256: sha256.toString("base64") }),
  );
  requireReceived(answer, sha256, input.Body);
  return answer;
}

/** The same for one part of a multipart upload. */
export async function uploadPartChecked(
  client: S3Client,
  input: UploadPartCommandInput & { Body: Buffer; PartNumber: number },
): Promise<ReceivedPart> {
  const sha256 = createHash("sha256").update(input.Body).digest();
  const answer = await client.send(
    new UploadPartCommand({ ...input, ChecksumSHA256: sha256.toString("base64") }),
  );
  return { number: input.PartNumber, sha256, etag: requireReceived(answer, sha256, input.Body) };
}

/** Throws a Stop unless what a store answers to the end of a multipart upload speaks of exactly these parts, in this order. */
export function requireComposed(answer: Answer, parts: readonly ReceivedPart[]): void {
  if (answer.ChecksumSHA256) {
    const composed = createHash("sha256").update(Buffer.concat(parts.map(({ sha256 }) => sha256)));
    if (answer.ChecksumSHA256.replace(/-\d+$/, "") === composed.digest("base64")) return;
  } else {
    const composed = createHash("md5").update(
      Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, "hex"))),
    );
    if (bare(answer.ETag) === `${composed.digest("hex")}-${parts.length}`) return;
  }
  throw unconfirmed("what it put together");
}

export function bare(etag = ""): string {
  return etag.replace(/^"|"$/g, "");
}

/** The ETag, once it is certain that the store has these bytes: by their SHA-256, or by their MD5 where it answers none. */
function requireReceived(answer: Answer, sha256: Buffer, body: Buffer): string {
  const etag = bare(answer.ETag);
  if (answer.ChecksumSHA256) {
    if (answer.ChecksumSHA256 === sha256.toString("base64")) return etag;
  } else if (etag === createHash("md5").update(body).digest("hex")) return etag;
  throw unconfirmed("what it received");
}

/** The store has something under the key, and nobody knows what. */
export class Unconfirmed extends Stop {}

function unconfirmed(what: string): Unconfirmed {
  return new Unconfirmed(
    EXIT.storeRefused,
    `The object store does not confirm that ${what} is what was sent: neither its SHA-256 nor its MD5 is the right one.`,
    "Remove the object there, then run `npx budgie push`; if it happens again, use another store.",
  );
}
