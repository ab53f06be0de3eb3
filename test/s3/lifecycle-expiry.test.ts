// The rules that `pulumi up` sets, on a server that carries them out.
import {
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, expect, it } from "vitest";
import { prepareLocalStore } from "../../agent/local-store/set-up.ts";
import { openStore } from "../../object-store/client.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { until } from "../support/until.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const GONE_WITHIN_MS = 90_000;
const KEEP_DAYS = 30;

let minio: TestMinio | undefined;

afterEach(() => minio?.stop());

/** As if it had been put that many days ago. The header is MinIO's own and must be signed. */
async function putAged(client: S3Client, bucket: string, key: string, days: number): Promise<void> {
  const command = new PutObjectCommand({ Bucket: bucket, Key: key, Body: "a backup" });
  const then = new Date(Date.now() - days * DAY_MS).toISOString();
  command.middlewareStack.add(
    next => args => {
      (args.request as { headers: Record<string, string> }).headers["x-minio-source-mtime"] = then;
      return next(args);
    },
    { step: "build" },
  );
  await client.send(command);
}

it("a backup that is older than budgie:offsiteKeepDays goes, and a younger one stays", async () => {
  minio = await startMinio({ fastLifecycle: true });
  const place = { endpoint: minio.endpoint, region: "us-east-1", bucket: "backups", prefix: "dev/" };
  const user = (accessKeyId: string) => ({ accessKeyId, secretAccessKey: "a-secret-of-a-test" });
  const root = user(minio.accessKeyId);
  root.secretAccessKey = minio.secretAccessKey;
  const identities = { root, writer: user("writer"), reader: user("reader") };
  const rules = { keepDays: KEEP_DAYS, noncurrentDays: 10, lockDays: 0 };
  await prepareLocalStore(JSON.stringify({ ...place, ...rules, ...identities }));
  const { client } = openStore({ kind: "local", ...place, pathStyle: true }, root, "reader");

  await putAged(client, place.bucket, "dev/younger", KEEP_DAYS - 2);
  await putAged(client, place.bucket, "dev/older", KEEP_DAYS + 2);
  await putAged(client, place.bucket, "elsewhere/older", KEEP_DAYS + 2);
  const keys = async () => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: place.bucket }));
    return Contents.map(({ Key }) => Key).sort();
  };
  /** A listing already leaves out what is due to go. The delete marker appears once it is really gone. */
  const markers = async () => {
    const { DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: place.bucket }));
    return DeleteMarkers.map(({ Key }) => Key);
  };
  const patience = { withinMs: GONE_WITHIN_MS, everyMs: 1000 };
  await until("a backup that went", markers, gone => gone.length > 0, patience);

  expect(await markers()).toEqual(["dev/older"]);
  expect(await keys()).toEqual(["dev/younger", "elsewhere/older"]);
});
