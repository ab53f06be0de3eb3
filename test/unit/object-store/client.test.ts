import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { requireComposed } from "../../../agent/store/checked-put.ts";
import {
  encryptedKeys,
  manifestKeyBeside,
  objectKeys,
  parseObjectName,
} from "../../../agent/store/object-key.ts";
import { planParts } from "../../../agent/store/upload.ts";
import { shownPlace } from "../../../object-store/client.ts";
import { explainStoreError, isAlreadyThere } from "../../../object-store/errors.ts";
import { EXIT, Stop } from "../../../shared/exit-codes.ts";

const MB = 1024 * 1024;

describe("the keys of a backup's two objects", () => {
  const sha256 = "4f2a9c01d3e7".padEnd(64, "0");

  it("hold its name and the beginning of its hash", () => {
    expect(objectKeys("dev/", { file: "budgie_20261122_140000.sql", sha256 })).toEqual({
      dump: "dev/budgie_20261122_140000-4f2a9c01d3e7.sql",
      globals: "dev/budgie_20261122_140000-4f2a9c01d3e7.globals.sql",
      manifest: "dev/budgie_20261122_140000-4f2a9c01d3e7.json",
    });
    expect(objectKeys("dev/", { file: "budgie_20261122_140000.sql.gz", sha256 }).dump).toBe(
      "dev/budgie_20261122_140000-4f2a9c01d3e7.sql.gz",
    );
  });

  it("say what they are of", () => {
    expect(parseObjectName("budgie_20261122_140000-4f2a9c01d3e7.sql.gz")).toEqual({
      pair: "budgie_20261122_140000-4f2a9c01d3e7",
      stem: "budgie_20261122_140000",
      kind: "sql.gz",
    });
  });

  it("end with .age where their content is encrypted, and name the same backup", () => {
    const manifest = { file: "budgie_20261122_140000.dump", sha256 };
    expect(encryptedKeys("dev/", manifest)).toEqual({
      dump: "dev/budgie_20261122_140000-4f2a9c01d3e7.dump.age",
      globals: "dev/budgie_20261122_140000-4f2a9c01d3e7.globals.sql.age",
      manifest: "dev/budgie_20261122_140000-4f2a9c01d3e7.json.age",
    });
    expect(parseObjectName("budgie_20261122_140000-4f2a9c01d3e7.dump.age")).toMatchObject({ kind: "dump" });
    expect(manifestKeyBeside("old/x.sql.age")).toBe("old/x.json.age");
  });

  it.each(["budgie_20261122_140000.sql", "notes.txt", "wal/000000010000000000000001"])(
    "are not like %s",
    name => {
      expect(parseObjectName(name)).toBeNull();
    },
  );

  it("lead from any dump to the manifest beside it", () => {
    expect(manifestKeyBeside("old/x.sql.gz")).toBe("old/x.json");
    expect(manifestKeyBeside("old/x.dir.tar")).toBe("old/x.json");
    expect(manifestKeyBeside("old/x.tgz")).toBeNull();
  });
});

it("a store is shown as manifests record it", () => {
  expect(shownPlace({ endpoint: null, bucket: "b" })).toBe("aws/b");
  expect(shownPlace({ endpoint: "https://s3.example.org/", bucket: "b" })).toBe("https://s3.example.org/b");
});

it("a file of any size is cut into parts that stores take, with at most 48 MB waiting in memory where that is possible", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 * 1024 ** 4 }), bytes => {
      const { partBytes, atOnce } = planParts(bytes);
      expect(Math.ceil(bytes / partBytes)).toBeLessThanOrEqual(10_000);
      expect(partBytes).toBeGreaterThanOrEqual(5 * MB);
      expect(atOnce).toBeGreaterThanOrEqual(1);
      if (partBytes <= 48 * MB) expect(partBytes * atOnce).toBeLessThanOrEqual(48 * MB);
    }),
  );
});

describe("an object that was put together from parts", () => {
  const sha256 = (text: string) => createHash("sha256").update(text).digest();
  const md5 = (text: string | Buffer) => createHash("md5").update(text).digest("hex");
  const parts = ["one", "two"].map((text, index) => ({
    number: index + 1,
    sha256: sha256(text),
    etag: md5(text),
  }));
  const composed = createHash("sha256")
    .update(Buffer.concat([sha256("one"), sha256("two")]))
    .digest("base64");
  const etag = `"${md5(Buffer.from(md5("one") + md5("two"), "hex"))}-2"`;

  it("is confirmed by the SHA-256 of its parts' SHA-256, or else by its ETag", () => {
    requireComposed("k", { ChecksumSHA256: `${composed}-2`, ETag: "anything" }, parts);
    requireComposed("k", { ETag: etag }, parts);
  });

  it.each([
    ["another checksum", { ChecksumSHA256: `${sha256("x").toString("base64")}-2`, ETag: etag }],
    ["another ETag", { ETag: `"${md5("x")}-2"` }],
    ["nothing at all", {}],
  ])("is not believed with %s", (_what, answer) => {
    expect(() => requireComposed("k", answer, parts)).toThrow(/does not confirm that what it has as k/);
  });
});

describe("what goes wrong between the agent and a store", () => {
  const asked = { shown: "http://store:9000/b", kind: "s3", role: "writer", bucket: "b" } as const;
  const answered = (name: string, httpStatusCode: number, message = "") =>
    Object.assign(new Error(message), { name, $metadata: { httpStatusCode, attempts: 4 } });
  const failed = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

  it.each([
    [answered("InvalidAccessKeyId", 403), EXIT.storeRefused, /does not know the access key/],
    [answered("SignatureDoesNotMatch", 403), EXIT.storeRefused, /secret key does not fit/],
    [answered("ExpiredToken", 400), EXIT.storeRefused, /credentials have expired/],
    [answered("AccessDenied", 403), EXIT.storeRefused, /the agent's key may not put/],
    [answered("NoSuchBucket", 404), EXIT.storeRefused, /there is no bucket b \(NoSuchBucket\)/],
    [answered("RequestTimeTooSkewed", 403), EXIT.storeRefused, /clock/],
    [answered("InvalidObjectState", 403), EXIT.storeRefused, /archive class/],
    [answered("SomethingNew", 400, "It says so."), EXIT.storeRefused, /refused: It says so \(SomethingNew\)/],
    [answered("SyntaxError", 200, "char '<'"), EXIT.storeRefused, /is no S3 store/],
    [answered("SlowDown", 503), EXIT.storeUnreachable, /it answered SlowDown \(503\), 4 times/],
    [answered("InternalError", 500), EXIT.storeUnreachable, /InternalError \(500\)/],
    [answered("TimeoutError", 0), EXIT.storeUnreachable, /did not answer in time, 4 times/],
    [failed("ENOTFOUND"), EXIT.storeUnreachable, /its name is not known/],
    [failed("ECONNREFUSED"), EXIT.storeUnreachable, /nothing listens there/],
    [failed("ECONNRESET"), EXIT.storeUnreachable, /it cut the connection/],
    [failed("DEPTH_ZERO_SELF_SIGNED_CERT"), EXIT.storeUnreachable, /certificate is not accepted/],
    [failed("EWHATEVER"), EXIT.storeUnreachable, /cannot be reached: connect EWHATEVER/],
  ])("%s is explained", (error, code, message) => {
    const stop = explainStoreError(error, asked) as Stop;
    expect(stop.code).toBe(code);
    expect(stop.message).toMatch(message);
    expect(stop.message).toContain("http://store:9000/b");
    expect(stop.next).toBeTruthy();
  });

  it("is told to whose keys they are", () => {
    const error = answered("InvalidAccessKeyId", 403);
    const next = (kind: "aws" | "s3" | "local", role: "writer" | "reader") =>
      (explainStoreError(error, { ...asked, kind, role }) as Stop).next;
    expect(next("s3", "writer")).toContain("budgie:s3WriterAccessKeyId");
    expect(next("aws", "writer")).toBe("Run `npm run pulumi -- up`, which gives the agent its key anew.");
    expect(next("aws", "reader")).toMatch(/Use credentials that are valid/);
  });

  it("passes on what is explained already", () => {
    const stop = new Stop(EXIT.noSpace, "full");
    expect(explainStoreError(stop, asked)).toBe(stop);
  });

  it("knows a key that is taken", () => {
    expect(isAlreadyThere(answered("PreconditionFailed", 412))).toBe(true);
    expect(isAlreadyThere(answered("NoSuchKey", 404))).toBe(false);
  });
});
