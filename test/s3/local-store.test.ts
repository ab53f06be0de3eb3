// What `pulumi up` makes of a new MinIO container, on a real server.
import { randomBytes } from "node:crypto";
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { proveReader, proveWriter } from "../../agent/local-store/identities.ts";
import { prepareLocalStore } from "../../agent/local-store/set-up.ts";
import { type ObjectStore, openStore } from "../../object-store/client.ts";
import { setLifecycle } from "../../object-store/lifecycle.ts";
import { lifecycleRules } from "../../shared/bucket-lifecycle.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";

const PREFIX = "dev/";
let minio: TestMinio;
let bucket: string;

beforeAll(async () => {
  minio = await startMinio();
});
afterAll(() => minio.stop());
beforeEach(() => {
  bucket = `b-${randomBytes(6).toString("hex")}`;
});

const user = (accessKeyId: string) => ({ accessKeyId, secretAccessKey: randomBytes(20).toString("hex") });
const root = () => ({ accessKeyId: minio.accessKeyId, secretAccessKey: minio.secretAccessKey });

function wanted(change: object = {}) {
  return {
    endpoint: minio.endpoint,
    region: "us-east-1",
    bucket,
    prefix: PREFIX,
    keepDays: 90,
    noncurrentDays: 30,
    lockDays: 0,
    root: root(),
    writer: user("budgie-writer"),
    reader: user("budgie-reader"),
    ...change,
  };
}

const prepare = (settings: ReturnType<typeof wanted>) => prepareLocalStore(JSON.stringify(settings));

function as(keys: { accessKeyId: string; secretAccessKey: string }): ObjectStore {
  const place = {
    kind: "local",
    bucket,
    prefix: PREFIX,
    region: "us-east-1",
    endpoint: minio.endpoint,
  } as const;
  return openStore({ ...place, pathStyle: true }, keys, "writer");
}

const put = (client: S3Client, key: string, body = "a backup") =>
  client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));

describe("a new store", () => {
  it("keeps versions and lets backups expire when it is asked to", async () => {
    expect(await prepare(wanted({ keepDays: 60, noncurrentDays: 20 }))).toBe(
      `${minio.endpoint}/${bucket} is ready: budgie-writer can only add, budgie-reader can only read`,
    );
    const { client } = as(root());
    const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
    const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
    expect(Status).toBe("Enabled");
    expect(Rules).toEqual([
      {
        ID: "backups",
        Status: "Enabled",
        Filter: { Prefix: PREFIX },
        Expiration: { Days: 60 },
        NoncurrentVersionExpiration: { NoncurrentDays: 20 },
      },
      {
        ID: "delete-markers",
        Status: "Enabled",
        Filter: { Prefix: PREFIX },
        Expiration: { ExpiredObjectDeleteMarker: true },
      },
    ]);
  });

  it("lets the agent add and the operator read, and neither anything else", async () => {
    const settings = wanted();
    await prepare(settings);
    await put(as(settings.writer).client, `${PREFIX}one`);
    const read = await as(settings.reader).client.send(
      new GetObjectCommand({ Bucket: bucket, Key: `${PREFIX}one` }),
    );
    expect(await read.Body?.transformToString()).toBe("a backup");
    await expect(put(as(settings.writer).client, "elsewhere")).rejects.toThrow("Access Denied");
    await expect(put(as(settings.reader).client, `${PREFIX}two`)).rejects.toThrow("Access Denied");
  });

  it("has nothing in it from being tried out", async () => {
    await prepare(wanted());
    const { client } = as(root());
    const versions = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    const uploads = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: `${PREFIX}never-written` }),
    );
    expect([versions.Versions, versions.DeleteMarkers, uploads.Uploads]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("is waited for while it starts", async () => {
    await minio.kill();
    const ready = prepare(wanted());
    await minio.start();
    expect(await ready).toContain("is ready");
  });
});

describe("a store that is there already", () => {
  it("keeps every backup, and takes new settings and new secrets", async () => {
    const before = wanted();
    await prepare(before);
    await put(as(before.writer).client, `${PREFIX}one`);
    const after = wanted({ keepDays: 10 });
    await prepare(after);
    const { client } = as(after.reader);
    const read = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `${PREFIX}one` }));
    expect(await read.Body?.transformToString()).toBe("a backup");
    await expect(put(as(before.writer).client, `${PREFIX}two`)).rejects.toThrow("signature");
    await put(as(after.writer).client, `${PREFIX}two`);
    const rules = await as(root()).client.send(
      new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }),
    );
    expect(rules.Rules?.[0]?.Expiration?.Days).toBe(10);
  });

  it("locks for as long as it is asked to, if it was made to lock", async () => {
    const lock = async () => {
      const { ObjectLockConfiguration: lock } = await as(root()).client.send(
        new GetObjectLockConfigurationCommand({ Bucket: bucket }),
      );
      return lock?.Rule?.DefaultRetention;
    };
    await prepare(wanted({ lockDays: 7 }));
    expect(await lock()).toEqual({ Mode: "GOVERNANCE", Days: 7 });
    await prepare(wanted({ lockDays: 9 }));
    expect(await lock()).toEqual({ Mode: "GOVERNANCE", Days: 9 });
    await prepare(wanted({ lockDays: 0 }));
    expect(await lock()).toBeUndefined();
  });

  it("is refused a lock that it was not made for, with what to type", async () => {
    await prepare(wanted());
    await expect(prepare(wanted({ lockDays: 7 }))).rejects.toMatchObject({
      code: EXIT.storeRefused,
      message: `budgie:objectLockDays is 7, but the bucket ${bucket} was made without object lock and cannot get it any more.`,
      next: expect.stringContaining("npm run pulumi -- config set budgie:bucket budgie-locked-backups"),
    });
  });
});

describe("it fails", () => {
  it("when the agent's user could do more than add", async () => {
    await prepare(wanted());
    await expect(proveWriter(as(root()), "budgie-writer")).rejects.toMatchObject({
      code: EXIT.storeRefused,
      message: expect.stringContaining("is not kept from what it should not do (read)"),
    });
    await expect(proveReader(as(root()), "budgie-reader")).rejects.toThrow(
      "is not kept from what it should not do (put)",
    );
  });

  it("when the server takes a rule and drops it without a word", async () => {
    await prepare(wanted());
    const rules = lifecycleRules(PREFIX, { keepDays: 90, abandonedUploadDays: 2, deleteMarkers: true });
    await expect(setLifecycle(as(root()), rules)).rejects.toMatchObject({
      code: EXIT.storeRefused,
      message: `The object store ${minio.endpoint}/${bucket} was told what becomes of old backups, and has other rules now.`,
    });
  });

  it("when the server stays away, within the time that it is given", async () => {
    const settings = wanted({ endpoint: "http://127.0.0.1:1" });
    await expect(prepareLocalStore(JSON.stringify(settings), 300)).rejects.toMatchObject({
      code: EXIT.storeUnreachable,
      message: expect.stringContaining("nothing listens there"),
    });
  });

  it("when the root's secret is another one, at once", async () => {
    const settings = wanted({ root: { ...root(), secretAccessKey: "another-secret" } });
    await expect(prepare(settings)).rejects.toMatchObject({ code: EXIT.storeRefused });
  });

  it("without showing what it was told when that is broken", async () => {
    const broken = `{"root": {"secretAccessKey": "canary-secret"`;
    const error = await prepareLocalStore(broken).catch((error: Error) => error);
    expect(error).toMatchObject({ code: EXIT.usage });
    expect(JSON.stringify(error) + String(error)).not.toContain("canary");
  });
});
