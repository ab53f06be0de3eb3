import { randomBytes } from "node:crypto";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { prepareLocalStore } from "../../../agent/local-store/set-up.ts";
import type { TestMinio } from "../servers/minio.ts";
import { s3Client } from "../servers/s3-client.ts";
import type { AgentStore, StoreCredentials } from "./agent.ts";

/** A bucket on a MinIO server, set up as a stack's own store: one key can only add, another can only read. */
export interface TestBucket {
  bucket: string;
  writer: StoreCredentials;
  reader: StoreCredentials;
  /** What an agent needs to send its backups there. */
  store: AgentStore;
  /** Every key, sorted. */
  keys(): Promise<string[]>;
  text(key: string): Promise<string>;
  bytes(key: string): Promise<Buffer>;
  /** Adds or overwrites; the writer's key cannot overwrite. */
  put(key: string, body: string | Buffer): Promise<void>;
  remove(key: string): Promise<void>;
  /** Removes every object and every old version. */
  empty(): Promise<void>;
  /** How many multipart uploads were neither completed nor aborted. */
  unfinishedUploads(): Promise<number>;
  /** How many versions a key has: 1 when nothing was ever put over it. */
  versions(key: string): Promise<number>;
}

export async function makeBucket(minio: TestMinio, prefix = "test/"): Promise<TestBucket> {
  const unique = randomBytes(4).toString("hex");
  const bucket = `backups-${unique}`;
  const key = (role: string) => ({
    accessKeyId: `${role}-${unique}`,
    secretAccessKey: randomBytes(16).toString("hex"),
  });
  const { endpoint, ...root } = minio;
  const [writer, reader] = [key("writer"), key("reader")];
  const lifecycle = { keepDays: 90, noncurrentDays: 30, lockDays: 0 };
  const place = { endpoint, region: "us-east-1", bucket, prefix };
  await prepareLocalStore(JSON.stringify({ ...place, ...lifecycle, root, writer, reader }));
  const s3 = s3Client(minio);
  const Bucket = bucket;
  return {
    bucket,
    writer,
    reader,
    store: { kind: "local", endpoint, bucket, writer },
    keys: async () => {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
      return Contents.map(({ Key = "" }) => Key).sort();
    },
    remove: async Key => void (await s3.send(new DeleteObjectCommand({ Bucket, Key }))),
    empty: async () => {
      const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket }));
      for (const { Key, VersionId } of [...Versions, ...DeleteMarkers])
        await s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
    },
    text: async Key => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      return (await Body?.transformToString()) ?? "";
    },
    bytes: async Key => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    put: async (Key, Body) => void (await s3.send(new PutObjectCommand({ Bucket, Key, Body }))),
    unfinishedUploads: async () => {
      // MinIO lists them by their exact prefix only.
      const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix }));
      return Uploads.length;
    },
    versions: async Key => {
      const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: Key }));
      return Versions.length;
    },
  };
}
