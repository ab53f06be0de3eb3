import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { isPrivateHost } from "../../../../components/offsite/private-host.ts";
import { storeLacks } from "../../../../components/offsite/store-lacks.ts";
import type { Lifecycle, ObjectStoreSettings } from "../../../../settings/offsite.ts";
import { PROFILES, profileByName } from "../../../../settings/store-profile.ts";

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: () => ({}),
  });
});

const lifecycle: Lifecycle = { keepDays: 90, noncurrentDays: 30, transition: undefined, lockDays: 0 };
const place = { bucket: "ledger", region: "us-east-1", pathStyle: true, lifecycle };
const keys = () => ({ accessKeyId: pulumi.secret("key"), secretAccessKey: pulumi.secret("secret") });
const s3 = (change: object = {}): ObjectStoreSettings => ({
  kind: "s3",
  ...place,
  endpoint: "https://s3.example.com",
  profile: "minio",
  operator: keys(),
  writer: keys(),
  ...change,
});

describe("what a store lacks", () => {
  it("is one whole sentence each, and the same one only once", () => {
    for (const { name, features } of Object.values(PROFILES)) {
      const sentences = Object.values(features).flatMap(support =>
        typeof support === "object" ? [support.lacks] : [],
      );
      expect(new Set(sentences).size, name).toBe(sentences.length);
      for (const sentence of sentences) expect(sentence, name).toMatch(/^[A-Z`].*\.$/);
    }
  });

  it("is nothing on Amazon", () => {
    expect(storeLacks({ kind: "aws", ...place, endpoint: undefined }, false)).toEqual([]);
  });

  it("is said of every other store", () => {
    expect(storeLacks(s3({ profile: "garage" }), false)).toEqual([
      "The object store keeps no versions: a backup that is overwritten or deleted there is gone at once.",
      "The object store has no public access block: nothing stops a mistake from making the bucket public.",
      "The object store is not asked to encrypt what it keeps.",
      "The object store takes no rule that refuses overwriting: who takes over the backup agent's key can overwrite backups there.",
      "The object store's buckets have no tags: whether a bucket is this stack's is told by the names of what is in it.",
      "The object store is not documented to refuse a put that must not overwrite: two different backups never share a name anyway.",
      "The object store's keys cannot be limited to adding: who takes over the backup agent's key can delete backups there.",
    ]);
  });

  it("is being elsewhere when the store is on this machine, unless backups go over ssh as well", () => {
    const local: ObjectStoreSettings = {
      kind: "local",
      ...place,
      image: "pgsty/silo:RELEASE.2026-09-16T00-00-00Z",
    };
    const alone = "The object store is on the same machine as the database, and is lost with it";
    expect(storeLacks(local, false)[0]).toContain(alone);
    expect(storeLacks(local, true).join("\n")).not.toContain(alone);
  });

  it("is everything when there is none, unless backups go over ssh", () => {
    expect(storeLacks({ kind: "none" }, false)).toEqual([
      "No backup is sent anywhere else: what destroys this machine destroys them all.",
    ]);
    expect(storeLacks({ kind: "none" }, true)).toEqual([]);
  });

  it("is a key that can only add, when the operator gave none", () => {
    expect(storeLacks(s3({ writer: undefined }), false).at(-1)).toBe(
      "The backup agent has the operator's own key, because budgie:s3WriterAccessKeyId is not set: who takes over its container can delete backups there.",
    );
  });

  it("is secrecy on the way over plain http, on any but the own network", () => {
    const sentence =
      "The object store's address http://s3.example.com is not encrypted: everyone on the way can read the backups.";
    expect(storeLacks(s3({ endpoint: "http://s3.example.com" }), false)).toContain(sentence);
    expect(storeLacks(s3({ endpoint: "http://192.168.1.5:9000" }), false).join("\n")).not.toContain(
      "encrypted:",
    );
  });

  it("is speed, for backups in the slow classes", () => {
    const transition = { storageClass: "DEEP_ARCHIVE", days: 30 } as const;
    const store = {
      kind: "aws",
      ...place,
      endpoint: undefined,
      lifecycle: { ...lifecycle, transition },
    } as const;
    expect(storeLacks(store, false)).toEqual([
      "Backups older than 30 days are in DEEP_ARCHIVE: one must be asked for hours before it can be restored.",
    ]);
  });
});

describe("which store an endpoint is", () => {
  it.each([
    ["https://0123abcd.r2.cloudflarestorage.com", "r2"],
    ["https://s3.us-west-004.backblazeb2.com", "b2"],
    ["http://minio:9000", "minio"],
    ["https://my-minio.example.com", "minio"],
    ["https://garage.example.com", "garage"],
    ["https://s3.example.com", "s3"],
    ["https://administrator.example.com", "s3"],
  ])("%s is %s", (endpoint, profile) => {
    expect(profileByName(endpoint)).toBe(profile);
  });
});

describe("a host on the own network", () => {
  it.each([
    "localhost",
    "127.0.0.1",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.0.9",
    "[::1]",
    "[fd00::5]",
    "nas",
    "nas.lan",
  ])("is %s", host => expect(isPrivateHost(host)).toBe(true));
  it.each(["s3.example.com", "8.8.8.8", "172.32.0.1", "[2001:db8::1]", "10.example.com"])("is not %s", host =>
    expect(isPrivateHost(host)).toBe(false),
  );
});
