// The AWS plugin under the real engine, whichever of the two it is here, against a store that is not AWS and lacks much of it.
import { randomBytes } from "node:crypto";
import { GetBucketLifecycleConfigurationCommand, HeadBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startMinio, type TestMinio } from "../support/minio.ts";
import { pulumiProject, type TestProject } from "../support/pulumi-project.ts";

const STORY_MS = 300_000;

const beginning = `
import * as pulumi from "@pulumi/pulumi";
import * as aws from "@pulumi/aws";
const { BUCKET = "", ENDPOINT = "", ACCESS_KEY = "", SECRET_KEY = "", DAYS = "7" } = process.env;
const provider = new aws.Provider("store", {
  region: "us-east-1",
  accessKey: ACCESS_KEY,
  secretKey: pulumi.secret(SECRET_KEY),
  endpoints: [{ s3: ENDPOINT }],
  s3UsePathStyle: true,
  skipCredentialsValidation: true,
  skipRequestingAccountId: true,
  skipMetadataApiCheck: true,
  skipRegionValidation: true,
});
const bucket = new aws.s3.Bucket("backups", { bucket: BUCKET, objectLockEnabled: true }, { provider });
const of = { bucket: bucket.id };
`;
const parts = `
const versioning = new aws.s3.BucketVersioning("versioning", { ...of, versioningConfiguration: { status: "Enabled" } }, { provider });
new aws.s3.BucketObjectLockConfiguration(
  "lock",
  { ...of, rule: { defaultRetention: { mode: "GOVERNANCE", days: Number(DAYS) } } },
  { provider, dependsOn: [versioning] },
);
new aws.s3.BucketServerSideEncryptionConfiguration(
  "encryption",
  { ...of, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
  { provider },
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
  { provider },
);
`;

let minio: TestMinio;
let s3: S3Client;
const projects: TestProject[] = [];

beforeAll(async () => {
  minio = await startMinio({
    env: { MINIO_KMS_SECRET_KEY: `a-test:${randomBytes(32).toString("base64")}` },
  });
  s3 = new S3Client({
    endpoint: minio.endpoint,
    region: "us-east-1",
    credentials: minio,
    forcePathStyle: true,
  });
});
afterAll(async () => {
  await minio?.stop();
  for (const project of projects) await project.remove();
});

async function projectOf(program: string): Promise<TestProject> {
  const project = await pulumiProject("aws", program);
  projects.push(project);
  return project;
}

function given(bucket: string, more: Record<string, string> = {}): Record<string, string> {
  const { endpoint: ENDPOINT, accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY } = minio;
  return { BUCKET: bucket, ENDPOINT, ACCESS_KEY, SECRET_KEY, ...more };
}

it("declares a bucket with the parts that the store has, is quiet after that, follows an edit, and takes all away", {
  timeout: STORY_MS,
}, async () => {
  const project = await projectOf(beginning + parts);
  await project.up(given("story"));
  await project.requireNoChange(given("story"));
  await project.up(given("story", { DAYS: "9" }));
  await project.requireNoChange(given("story", { DAYS: "9" }));
  const destroyed = await project.pulumi(["destroy", "--yes", "--skip-preview"], given("story"));
  expect(destroyed.code, destroyed.all).toBe(0);
  await expect(s3.send(new HeadBucketCommand({ Bucket: "story" }))).rejects.toThrow();
});

it("says what a store that is down was asked for, and leaves the state to try again", {
  timeout: STORY_MS,
}, async () => {
  const project = await projectOf(beginning);
  await minio.kill();
  const failed = await project.pulumi(["up", "--yes", "--skip-preview"], given("later"));
  await minio.start();
  expect(failed.code).not.toBe(0);
  expect(failed.all).toMatch(/creating .*backups.*ECONNREFUSED/s);
  expect(failed.all).not.toContain(minio.secretAccessKey);
  await project.up(given("later"));
});

it("does not call lifecycle rules declared in a store that never confirms them", {
  timeout: STORY_MS,
}, async () => {
  const project = await projectOf(
    `${beginning}
    const rules = [{ id: "a", status: "Enabled", filter: { prefix: "dev/" }, expiration: { days: 90 } }];
    new aws.s3.BucketLifecycleConfiguration("lifecycle", { ...of, rules }, { provider });`,
  );
  const result = await project.pulumi(["up", "--yes", "--skip-preview"], given("rules"));
  expect(result.code).not.toBe(0);
  expect(result.all).toMatch(/lifecycle/i);
  const kept = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: "rules" }));
  expect(kept.Rules).toHaveLength(1);
});

it("fails where the store lacks a part, and keeps the bucket", { timeout: STORY_MS }, async () => {
  const project = await projectOf(
    `${beginning}new aws.s3.BucketPublicAccessBlock("private", { ...of, blockPublicAcls: true }, { provider });`,
  );
  const result = await project.pulumi(["up", "--yes", "--skip-preview"], given("lacking"));
  expect(result.code).not.toBe(0);
  expect(result.all).toMatch(/private/);
  await s3.send(new HeadBucketCommand({ Bucket: "lacking" }));
});
