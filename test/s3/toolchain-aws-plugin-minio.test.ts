// The AWS plugin (official or stand-in) under the real engine, against a store that is not AWS and lacks many of its features.
import { randomBytes } from "node:crypto";
import { GetBucketLifecycleConfigurationCommand, HeadBucketCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startMinio, type TestMinio } from "../support/servers/minio.ts";
import { s3Client } from "../support/servers/s3-client.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { awsProjects } from "../support/stack/aws-project.ts";

const STORY_MS = 300_000;

const beginning = `
const { DAYS = "7" } = process.env;
const bucket = new aws.s3.Bucket("backups", { bucket: BUCKET, objectLockEnabled: true }, { provider });
const of = { bucket: bucket.id };
`;
// One after the other: this store loses one of two changes of a bucket that come at the same time.
const parts = `
const versioning = new aws.s3.BucketVersioning("versioning", { ...of, versioningConfiguration: { status: "Enabled" } }, { provider });
const lock = new aws.s3.BucketObjectLockConfiguration(
  "lock",
  { ...of, rule: { defaultRetention: { mode: "GOVERNANCE", days: Number(DAYS) } } },
  { provider, dependsOn: [versioning] },
);
const encryption = new aws.s3.BucketServerSideEncryptionConfiguration(
  "encryption",
  { ...of, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
  { provider, dependsOn: [lock] },
);
new aws.s3.BucketPolicy(
  "policy",
  {
    ...of,
    policy: pulumi.jsonStringify({
      Version: "2012-10-17",
      Statement: [
        { Sid: "b", Effect: "Deny", Principal: "*", Action: "s3:DeleteObjectVersion", Resource: pulumi.interpolate\`\${bucket.arn}/*\` },
        {
          Sid: "a",
          Effect: "Deny",
          Principal: { AWS: "*" },
          Action: ["s3:PutObject"],
          Resource: [pulumi.interpolate\`\${bucket.arn}/*\`],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    }),
  },
  { provider, dependsOn: [encryption] },
);
`;

let minio: TestMinio;
let s3: S3Client;
const projects = awsProjects(() => minio);

beforeAll(async () => {
  minio = await startMinio({
    env: { MINIO_KMS_SECRET_KEY: `a-test:${randomBytes(32).toString("base64")}` },
  });
  s3 = s3Client(minio);
});
afterAll(async () => {
  await minio?.stop();
  await projects.remove();
});

itSlowly(
  "declares a bucket with the parts that the store has, is quiet after that, follows an edit, and takes all away",
  {
    timeout: STORY_MS,
  },
  async () => {
    const project = await projects.of("story", beginning + parts);
    await project.up();
    await project.requireNoChange();
    await project.up({ DAYS: "9" });
    await project.requireNoChange({ DAYS: "9" });
    const destroyed = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(destroyed.code, destroyed.all).toBe(0);
    await expect(s3.send(new HeadBucketCommand({ Bucket: "story" }))).rejects.toThrow();
  },
);

it("says what a store that is down was asked for, and leaves the state to try again", {
  timeout: STORY_MS,
}, async () => {
  const project = await projects.of("later", beginning);
  await minio.kill();
  const failed = await project.pulumi(["up", "--yes", "--skip-preview"]);
  await minio.start();
  expect(failed.code).not.toBe(0);
  expect(failed.all).toMatch(/creating .*backups.*ECONNREFUSED/s);
  expect(failed.all).not.toContain(minio.secretAccessKey);
  await project.up();
});

it("does not call lifecycle rules declared in a store that never confirms them", {
  timeout: STORY_MS,
}, async () => {
  const project = await projects.of(
    "rules",
    `${beginning}
    const rules = [{ id: "a", status: "Enabled", filter: { prefix: "dev/" }, expiration: { days: 90 } }];
    new aws.s3.BucketLifecycleConfiguration("lifecycle", { ...of, rules }, { provider });`,
  );
  const result = await project.pulumi(["up", "--yes", "--skip-preview"]);
  expect(result.code).not.toBe(0);
  expect(result.all).toMatch(/lifecycle/i);
  const kept = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: "rules" }));
  expect(kept.Rules).toHaveLength(1);
});

it("fails where the store lacks a part, and keeps the bucket", { timeout: STORY_MS }, async () => {
  const project = await projects.of(
    "lacking",
    `${beginning}new aws.s3.BucketPublicAccessBlock("private", { ...of, blockPublicAcls: true }, { provider });`,
  );
  const result = await project.pulumi(["up", "--yes", "--skip-preview"]);
  expect(result.code).not.toBe(0);
  expect(result.all).toMatch(/private/);
  await s3.send(new HeadBucketCommand({ Bucket: "lacking" }));
});
