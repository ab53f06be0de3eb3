import { describe, expect, it } from "vitest";
import { bucket } from "../../../../toolchain/stand-ins/aws-plugin/bucket.ts";
import { bucketLifecycleConfiguration } from "../../../../toolchain/stand-ins/aws-plugin/bucket-lifecycle.ts";
import { bucketPolicy } from "../../../../toolchain/stand-ins/aws-plugin/bucket-policy.ts";
import { bucketVersioning } from "../../../../toolchain/stand-ins/aws-plugin/bucket-versioning.ts";
import { accessKey } from "../../../../toolchain/stand-ins/aws-plugin/iam-access-key.ts";
import { user } from "../../../../toolchain/stand-ins/aws-plugin/iam-user.ts";
import {
  checked,
  difference,
  type Kind,
  previewed,
  refreshed,
} from "../../../../toolchain/stand-ins/aws-plugin/kind.ts";
import {
  fromServer,
  type Rule,
  toServer,
} from "../../../../toolchain/stand-ins/aws-plugin/lifecycle-rule.ts";
import { type Properties, secret, UNKNOWN } from "../../../../toolchain/stand-ins/provider.ts";

const seed = new Uint8Array([1, 2, 3]);
const problems = (kind: Kind, inputs: Properties) => checked(kind, "it", {}, inputs, seed).failures;
const rule = { id: "a", status: "Enabled", expiration: { days: 90 } } as const;
const lifecycle = (rules: unknown) => ({ bucket: "b", rules });

describe("what is refused", () => {
  it.each([
    ["a property that does not exist", bucket, { nmae: "x" }, "nmae"],
    [
      "one that does not exist deep within",
      bucketLifecycleConfiguration,
      lifecycle([{ ...rule, expiration: { day: 1 } }]),
      "rules[0].expiration.day",
    ],
    ["one that only the official plugin has", bucket, { acl: "private" }, "acl"],
    ["a required one that is missing", bucketVersioning, { bucket: "b" }, "versioningConfiguration"],
    [
      "a required one that is missing deep within",
      bucketLifecycleConfiguration,
      lifecycle([{ status: "Enabled" }]),
      "rules[0].id",
    ],
    [
      "a text where a number belongs",
      bucketLifecycleConfiguration,
      lifecycle([{ ...rule, expiration: { days: "90" } }]),
      "rules[0].expiration.days",
    ],
    [
      "a number that is too small",
      bucketLifecycleConfiguration,
      lifecycle([{ ...rule, noncurrentVersionExpiration: { noncurrentDays: 0 } }]),
      "rules[0].noncurrentVersionExpiration.noncurrentDays",
    ],
    ["an object where a list belongs", bucketLifecycleConfiguration, lifecycle(rule), "rules"],
    [
      "a value that is not one of the known ones",
      bucketVersioning,
      { bucket: "b", versioningConfiguration: { status: "On" } },
      "versioningConfiguration.status",
    ],
    ["a policy that is no JSON", bucketPolicy, { bucket: "b", policy: "{" }, "policy"],
  ])("%s", (_, kind, inputs, property) => {
    const failures = problems(kind, inputs);
    expect(failures.map(failure => failure.property)).toEqual([property]);
  });

  it("nothing that a preview does not know yet", () => {
    expect(problems(bucketVersioning, { bucket: UNKNOWN, versioningConfiguration: UNKNOWN })).toEqual([]);
    expect(problems(bucketPolicy, { bucket: UNKNOWN, policy: UNKNOWN })).toEqual([]);
    expect(
      problems(bucketLifecycleConfiguration, lifecycle([{ ...rule, filter: { prefix: UNKNOWN } }])),
    ).toEqual([]);
  });
});

describe("names", () => {
  const nameOf = (olds: Properties, news: Properties) =>
    checked(user, "writer", olds, news, seed).inputs.name;

  it("are made up from the logical name, the same in a preview and in the update after it", () => {
    expect(nameOf({}, {})).toMatch(/^writer-[0-9a-f]{7}$/);
    expect(nameOf({}, {})).toBe(nameOf({}, {}));
    expect(checked(bucket, "Backups", {}, {}, seed).inputs.bucket).toMatch(/^backups-[0-9a-f]{7}$/);
  });

  it("stay what they are, and what the program says", () => {
    expect(nameOf({ name: "writer-0000000" }, {})).toBe("writer-0000000");
    expect(nameOf({ name: "writer-0000000" }, { name: "w" })).toBe("w");
  });
});

describe("what counts as a change", () => {
  it("replaces for a bucket's name and for its object lock, and for nothing else of it", () => {
    expect(difference(bucket, { bucket: "a" }, { bucket: "b" })).toMatchObject({
      replaces: ["bucket"],
      deleteBeforeReplace: false,
    });
    const locked = difference(bucket, { bucket: "a" }, { bucket: "a", objectLockEnabled: true });
    // Two buckets cannot have the same name.
    expect(locked).toMatchObject({ replaces: ["objectLockEnabled"], deleteBeforeReplace: true });
    const inPlace = difference(
      bucket,
      { bucket: "a" },
      { bucket: "a", forceDestroy: true, tags: { a: "b" } },
    );
    expect(inPlace).toMatchObject({ changed: ["forceDestroy", "tags"], replaces: [] });
  });

  it("is not what holds anyway, nor the order of rules", () => {
    const other = { id: "b", status: "Disabled" };
    const plain = lifecycle([rule, other]);
    const wordy = lifecycle([
      other,
      {
        ...rule,
        filter: { prefix: "" },
        transitions: [],
        expiration: { days: 90, expiredObjectDeleteMarker: false },
      },
    ]);
    const size = { transitionDefaultMinimumObjectSize: "all_storage_classes_128K" };
    expect(difference(bucketLifecycleConfiguration, plain, { ...wordy, ...size }).changed).toEqual([]);
    const shorter = lifecycle([other, { ...rule, expiration: { days: 89 } }]);
    expect(difference(bucketLifecycleConfiguration, plain, shorter)).toMatchObject({
      changed: ["rules"],
      replaces: [],
    });
  });

  it("is a value that is not known yet", () => {
    expect(difference(bucketVersioning, { bucket: "a" }, { bucket: UNKNOWN }).replaces).toEqual(["bucket"]);
  });
});

describe("two ways to write a policy", () => {
  const policy = (statement: object) => ({
    bucket: "b",
    policy: JSON.stringify({ Version: "2012-10-17", Statement: [statement] }),
  });
  const deny = {
    Effect: "Deny",
    Principal: "*",
    Action: "s3:PutObject",
    Resource: ["x", "y"],
    Condition: { Null: { "s3:if-none-match": "true" } },
  };
  const isSame = (one: object, other: object) =>
    difference(bucketPolicy, policy(one), policy(other)).changed.length === 0;

  it.each([
    ["a list with one thing in it", { ...deny, Action: ["s3:PutObject"] }],
    ["another order", { ...deny, Resource: ["y", "x"] }],
    ["everyone in AWS", { ...deny, Principal: { AWS: ["*"] } }],
    ["no quotes around a flag", { ...deny, Condition: { Null: { "s3:if-none-match": [true] } } }],
    ["an empty Sid", { Sid: "", ...deny }],
  ])("are the same with %s", (_, written) => expect(isSame(deny, written)).toBe(true));

  it.each([
    ["effect", { ...deny, Effect: "Allow" }],
    ["action", { ...deny, Action: ["s3:PutObject", "s3:GetObject"] }],
    ["resource", { ...deny, Resource: ["x"] }],
    ["principal", { ...deny, Principal: { AWS: "arn:aws:iam::1:root" } }],
    ["condition", { ...deny, Condition: { Null: { "s3:if-none-match": "false" } } }],
  ])("are not with another %s", (_, written) => expect(isSame(deny, written)).toBe(false));
});

describe("what a refresh finds", () => {
  it("is what was declared where the server means the same", () => {
    const declared = lifecycle([
      { ...rule, filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 2 } },
    ]);
    const found = {
      bucket: "b",
      rules: [fromServer(toServer((declared.rules as Rule[])[0] as Rule))],
      transitionDefaultMinimumObjectSize: "all_storage_classes_128K",
    };
    const { inputs } = refreshed(bucketLifecycleConfiguration, declared, { inputs: found, outputs: {} });
    expect(inputs).toEqual(declared);
  });

  it("is the server's where it is otherwise, without what holds anyway", () => {
    const found = { bucket: "b", tags: { a: "b" }, objectLockEnabled: false };
    const { inputs } = refreshed(
      bucket,
      { bucket: "b", tags: { a: "c" }, forceDestroy: true },
      { inputs: found, outputs: {} },
    );
    expect(inputs).toEqual({ bucket: "b", tags: { a: "b" }, forceDestroy: true });
  });

  it("is, for an import, what a program would have to say", () => {
    const found = { bucket: "b", tags: {}, objectLockEnabled: true };
    expect(refreshed(bucket, {}, { inputs: found, outputs: {} }).inputs).toEqual({
      bucket: "b",
      objectLockEnabled: true,
    });
  });

  it("keeps a key's secret a secret", () => {
    const found = { inputs: { user: "w" }, outputs: { secret: "canary" } };
    expect(refreshed(accessKey, { user: "w" }, found).state).toEqual({ user: "w", secret: secret("canary") });
  });
});

it("knows no output in the preview of a new resource", () => {
  expect(previewed(user, { name: "w" })).toEqual({ name: "w", arn: UNKNOWN, uniqueId: UNKNOWN });
});

describe("lifecycle rules", () => {
  it.each<[string, Rule]>([
    ["a prefix of the rule", { ...rule, prefix: "dev/" }],
    [
      "a filter of several things",
      { ...rule, filter: { and: { prefix: "dev/", objectSizeGreaterThan: 1, tags: { a: "b" } } } },
    ],
    ["a filter by tag", { ...rule, filter: { tag: { key: "a", value: "b" } } }],
    ["a date", { ...rule, expiration: { date: "2030-01-01T00:00:00.000Z" } }],
    ["delete markers", { ...rule, expiration: { expiredObjectDeleteMarker: true } }],
    ["transitions", { ...rule, transitions: [{ days: 30, storageClass: "GLACIER" }] }],
    [
      "noncurrent versions",
      {
        ...rule,
        noncurrentVersionExpiration: { noncurrentDays: 30, newerNoncurrentVersions: 2 },
        noncurrentVersionTransitions: [{ noncurrentDays: 3, storageClass: "STANDARD_IA" }],
      },
    ],
  ])("come back from a server as they were sent, with %s", (_, sent) => {
    const back = lifecycle([fromServer(toServer(sent))]);
    expect(difference(bucketLifecycleConfiguration, lifecycle([sent]), back).changed).toEqual([]);
  });

  it("always have a filter or a prefix, without which a server refuses them", () => {
    expect(toServer(rule).Filter).toEqual({});
    expect(toServer({ ...rule, filter: {} }).Filter).toEqual({ Prefix: "" });
    expect(toServer({ ...rule, prefix: "dev/" })).not.toHaveProperty("Filter");
  });
});
