import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type ObjectStore, openStore } from "../../object-store/client.ts";
import { probeStore } from "../../object-store/probe.ts";
import { setTags } from "../../object-store/tags.ts";
import { makeBucket, type TestBucket } from "../support/agent/bucket.ts";
import { type FaultyStore, startFaultyStore } from "../support/faults/s3-faults.ts";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";

let minio: TestMinio;
let faulty: FaultyStore;
let bucket: TestBucket;

beforeAll(async () => {
  minio = await startMinio();
  faulty = await startFaultyStore(minio.endpoint);
  bucket = await makeBucket(minio);
});
afterEach(() => faulty.heal());
afterAll(async () => {
  await faulty?.stop();
  await minio?.stop();
});

const stores = (writer = bucket.writer) => {
  const place = {
    kind: "s3",
    endpoint: faulty.endpoint,
    region: "us-east-1",
    bucket: bucket.bucket,
    prefix: "test/",
    pathStyle: true,
  } as const;
  return [openStore(place, writer, "writer"), openStore(place, minio, "reader")] as const;
};
const PUT = /^PUT \/[^?]*probe/;

describe("before backups are sent to a store, `up`", () => {
  it("puts an object that is not overwritten, and leaves nothing behind", async () => {
    await probeStore(...stores());
    expect(await bucket.keys()).toEqual([]);
  });

  it("is not misled by what a killed one has left", async () => {
    await bucket.put("test/probe", "probe");
    await probeStore(...stores());
    expect(await bucket.keys()).toEqual([]);
  });

  it.each([
    ["does not know If-None-Match", 501, "NotImplemented", /a put that never overwrites.*Use another store/s],
    ["lets the agent put nothing", 403, "AccessDenied", /the agent's key may not put backups there/],
    ["is full", 507, "XMinioStorageFull", /its disk is full/],
    ["is not well", 503, "SlowDown", /it answered SlowDown/],
  ])("says so when the store %s", async (_, status, code, says) => {
    void faulty.disturb(PUT, { status, code });
    const error = await probeStore(...stores()).catch((error: Error & { next?: string }) => error);
    expect(`${error?.message}\n${(error as { next?: string })?.next}`).toMatch(says);
  });

  it("says so when the store overwrites although it was asked not to", async () => {
    const [, operator] = stores();
    const careless: ObjectStore = { ...stores()[1], role: "writer" };
    careless.client.middlewareStack.add(
      next => args => {
        delete (args.request as { headers: Record<string, string> }).headers["if-none-match"];
        return next(args);
      },
      { step: "build" },
    );
    await expect(probeStore(careless, operator)).rejects.toThrow(/overwrites what is there/);
    expect(await bucket.keys()).toEqual([]);
  });

  it("says so when the agent's key is wrong", async () => {
    const wrong = { accessKeyId: "nobody", secretAccessKey: "of nobody" };
    await expect(probeStore(...stores(wrong))).rejects.toThrow(/it does not know the access key/);
  });

  it("gives the bucket its tags, and keeps those of its owner", async () => {
    const [, operator] = stores();
    await setTags(operator, { team: "household" });
    await setTags(operator, { "budgie:stack": "dev" });
    await setTags(operator, { "budgie:stack": "dev" });
    const puts = faulty.requests.filter(request => /^PUT .*tagging/.test(request));
    expect(puts).toHaveLength(2);
  });
});
