import { describe, expect, it } from "vitest";
import {
  bucketHasALifecycle,
  bucketIsEncrypted,
  bucketIsNeverEmptied,
  bucketIsNotShared,
  bucketIsPrivate,
  bucketIsVersioned,
} from "../../../policy/bucket.ts";
import { BUCKET } from "../../../policy/bucket-part.ts";
import { type StackResource, stackViolations, violations } from "../../support/stack/policies.ts";

const bucket: StackResource = { type: BUCKET, name: "backups", inputs: { bucket: "example-backups" } };

const type = (name: string) => `aws:s3/b${name.slice(1)}:${name}`;
const beside = (
  name: string,
  inputs: object,
  from: Partial<StackResource> = { bucketFrom: ["backups"] },
) => ({
  type: type(name),
  name: `backups-${name}`,
  inputs: { ...inputs },
  ...from,
});

const closed = {
  blockPublicAcls: true,
  blockPublicPolicy: true,
  ignorePublicAcls: true,
  restrictPublicBuckets: true,
};
const encrypted = { rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] };
const rule = { id: "backups", status: "Enabled", expiration: { days: 90 } };

const PARTS = [
  {
    policy: bucketIsPrivate,
    name: "BucketPublicAccessBlock",
    good: closed,
    bad: { ...closed, ignorePublicAcls: false },
  },
  {
    policy: bucketIsVersioned,
    name: "BucketVersioning",
    good: { versioningConfiguration: { status: "Enabled" } },
    bad: { versioningConfiguration: { status: "Suspended" } },
  },
  {
    policy: bucketIsEncrypted,
    name: "BucketServerSideEncryptionConfiguration",
    good: encrypted,
    bad: { rules: [{ bucketKeyEnabled: true }] },
  },
  {
    policy: bucketHasALifecycle,
    name: "BucketLifecycleConfiguration",
    good: { rules: [rule] },
    bad: { rules: [{ ...rule, status: "Disabled" }] },
  },
];

describe.each(PARTS)("$policy.name", ({ policy, name, good, bad }) => {
  it("holds when it is declared of the bucket", () => {
    expect(stackViolations(policy, [bucket, beside(name, good)])).toEqual([]);
  });

  it("holds when it is declared by the bucket's name", () => {
    const byName = beside(name, { ...good, bucket: "example-backups" }, {});
    expect(stackViolations(policy, [bucket, byName])).toEqual([]);
  });

  it("does not hold without it, nor by what is declared of another bucket", () => {
    const message = expect.stringMatching(new RegExp(`^The bucket backups has no ${name}: .* Type: `));
    expect(stackViolations(policy, [bucket])).toEqual([message]);
    const others = beside(name, { ...good, bucket: "another" }, {});
    expect(stackViolations(policy, [bucket, others])).toEqual([message]);
  });

  it("does not hold when something else is declared", () => {
    const found = stackViolations(policy, [bucket, beside(name, bad)]);
    expect(found).toEqual([expect.stringMatching(/^The bucket backups is set up otherwise: .* Type: /)]);
  });

  it("asks nothing that another store may lack, but does not let it say otherwise", () => {
    const elsewhere = { ...bucket, provider: { endpoints: '[{"s3":"https://nas.example.com:9000"}]' } };
    expect(stackViolations(policy, [elsewhere])).toEqual([]);
    expect(stackViolations(policy, [elsewhere, beside(name, bad)])).toHaveLength(1);
  });

  it("asks the same of Amazon's own endpoints", () => {
    const endpoint = "https://bucket.vpce-1a2b3c4d.s3.eu-central-1.vpce.amazonaws.com";
    const inside = { ...bucket, provider: { endpoints: JSON.stringify([{ s3: endpoint }]) } };
    expect(stackViolations(policy, [inside])).toHaveLength(1);
  });

  it("asks nothing of a stack without a bucket", () => {
    expect(stackViolations(policy, [])).toEqual([]);
  });
});

describe("a bucket", () => {
  it("is never emptied by Pulumi", () => {
    expect(violations(bucketIsNeverEmptied, BUCKET, { forceDestroy: false })).toEqual([]);
    expect(violations(bucketIsNeverEmptied, BUCKET, {})).toEqual([]);
    expect(violations(bucketIsNeverEmptied, BUCKET, { forceDestroy: true })).toEqual([
      expect.stringContaining("would delete every backup in it. Type: forceDestroy: false"),
    ]);
  });

  it("is not opened by an access list", () => {
    expect(violations(bucketIsNotShared, BUCKET, { acl: "private" })).toEqual([]);
    expect(violations(bucketIsNotShared, BUCKET, { acl: "public-read" })).toHaveLength(1);
    expect(violations(bucketIsNotShared, type("BucketAcl"), { acl: "authenticated-read" })).toHaveLength(1);
  });

  const withPolicy = (...Statement: object[]) =>
    violations(bucketIsNotShared, type("BucketPolicy"), { policy: JSON.stringify({ Statement }) });

  it("may refuse things to everyone, and allow them to someone", () => {
    const writer = { AWS: "arn:aws:iam::123456789012:user/writer" };
    expect(withPolicy({ Effect: "Deny", Principal: "*" }, { Effect: "Allow", Principal: writer })).toEqual(
      [],
    );
  });

  it.each([["*"], [{ AWS: "*" }], [{ AWS: ["arn:aws:iam::123456789012:root", "*"] }]])(
    "allows nothing to everyone: %j",
    Principal => {
      expect(withPolicy({ Effect: "Allow", Principal })).toEqual([
        expect.stringContaining("its policy allows something to everyone"),
      ]);
    },
  );
});
