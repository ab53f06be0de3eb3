import { createHash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import {
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
  type UploadPartCommandInput,
} from "@aws-sdk/client-s3";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

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

/** The store has something under the key, and nobody knows what. */
export class Unconfirmed extends Stop {
  readonly key: string;

  constructor(key: string) {
    super(
      EXIT.storeRefused,
      `The object store does not confirm that what it has as ${key} is what was sent: neither its SHA-256 nor its MD5 is the right one.`,
      "Remove the object there, then run `npx budgie push`; if it happens again, use another store.",
    );
    this.key = key;
  }
}

/**
 * Puts an object whole. Its SHA-256 goes with it, so that the store refuses an object that was changed on the way. The store's
 * answer must confirm it too. Throws what the client throws, or Unconfirmed.
 */
export async function putChecked(
  client: S3Client,
  input: PutObjectCommandInput & { Body: Buffer; Key: string },
) {
  const sha256 = createHash("sha256").update(input.Body).digest();
  const answer = await client.send(
    new PutObjectCommand({ ...input, ChecksumSHA256: sha256.toString("base64") }),
  );
  if (!hasReceived(answer, sha256, input.Body)) throw new Unconfirmed(input.Key);
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
  if (hasReceived(answer, sha256, input.Body))
    return { number: input.PartNumber, sha256, etag: bare(answer.ETag) };
  throw new Stop(
    EXIT.storeRefused,
    "The object store does not confirm that the part it received is the one that was sent.",
    "Try again with `npx budgie push`; if it happens again, use another store.",
  );
}

/** Throws Unconfirmed unless the store's answer at the end of a multipart upload confirms exactly these parts, in this order. */
export function requireComposed(key: string, answer: Answer, parts: readonly ReceivedPart[]): void {
  if (answer.ChecksumSHA256) {
    const composed = createHash("sha256").update(Buffer.concat(parts.map(({ sha256 }) => sha256)));
    if (answer.ChecksumSHA256.replace(/-\d+$/, "") === composed.digest("base64")) return;
  } else {
    const composed = createHash("md5").update(
      Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, "hex"))),
    );
    if (bare(answer.ETag) === `${composed.digest("hex")}-${parts.length}`) return;
  }
  throw new Unconfirmed(key);
}

/** An ETag without its quotes. */
export function bare(etag = ""): string {
  return etag.replace(/^"|"$/g, "");
}

/** Whether the store has these bytes for certain: by their SHA-256, or by their MD5 where the store gives no SHA-256. */
function hasReceived(answer: Answer, sha256: Buffer, body: Buffer): boolean {
  if (answer.ChecksumSHA256) return answer.ChecksumSHA256 === sha256.toString("base64");
  return bare(answer.ETag) === createHash("md5").update(body).digest("hex");
}
