// The AWS plugin (official or stand-in) under the real engine, against an imitation of AWS that checks every call.
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadBucketCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMoto, type TestMoto } from "../support/servers/moto.ts";
import { s3Client } from "../support/servers/s3-client.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { awsProjects } from "../support/stack/aws-project.ts";

const STORY_MS = 300_000;

const beginning = `
const { DAYS = "90", ADOPT = "" } = process.env;
const bucket = new aws.s3.Bucket("backups", { bucket: BUCKET, tags: { stack: "dev" } }, { provider, ...(ADOPT ? { import: BUCKET } : {}) });
`;
const versioning = `
const of = { bucket: bucket.id };
const versioning = new aws.s3.BucketVersioning("versioning", { ...of, versioningConfiguration: { status: "Enabled" } }, { provider });
`;
const otherParts = `
new aws.s3.BucketPublicAccessBlock(
  "private",
  { ...of, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
  { provider },
);
new aws.s3.BucketOwnershipControls("owner", { ...of, rule: { objectOwnership: "BucketOwnerEnforced" } }, { provider });
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
        {
          Sid: "OnlyNewKeys",
          Effect: "Deny",
          Principal: "*",
          Action: "s3:PutObject",
          Resource: [pulumi.interpolate\`\${bucket.arn}/*\`],
          Condition: { Null: { "s3:if-none-match": true } },
        },
      ],
    }),
  },
  { provider },
);
new aws.s3.BucketLifecycleConfiguration(
  "lifecycle",
  {
    ...of,
    rules: [
      {
        id: "backups",
        status: "Enabled",
        filter: { prefix: "dev/" },
        expiration: { days: Number(DAYS) },
        noncurrentVersionExpiration: { noncurrentDays: 30 },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 2 },
        transitions: [{ days: 30, storageClass: "STANDARD_IA" }],
      },
      { id: "markers", status: "Enabled", filter: {}, expiration: { expiredObjectDeleteMarker: true } },
    ],
  },
  { provider, dependsOn: [versioning] },
);
`;
const writer = `
const writer = new aws.iam.User("writer", { path: "/budgie/" }, { provider });
new aws.iam.UserPolicy(
  "write",
  {
    user: writer.name,
    policy: pulumi.jsonStringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: ["s3:PutObject"], Resource: pulumi.interpolate\`\${bucket.arn}/dev/*\` }],
    }),
  },
  { provider },
);
const key = new aws.iam.AccessKey("key", { user: writer.name }, { provider });
export const writerName = writer.name;
export const accessKeyId = key.id;
export const secretAccessKey = key.secret;
export const arn = bucket.arn;
`;

const everything = beginning + versioning + otherParts + writer;

let moto: TestMoto;
let s3: S3Client;
const projects = awsProjects(() => moto);

beforeAll(async () => {
  moto = await startMoto({ iam: true });
  s3 = s3Client(moto);
});
afterAll(async () => {
  await moto?.stop();
  await projects.remove();
});

async function expirationDays(bucket: string): Promise<number | undefined> {
  const answer = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
  return answer.Rules?.find(({ ID }) => ID === "backups")?.Expiration?.Days;
}

it("declares a bucket with all its parts and a writer, is quiet after that, follows an edit, and takes all away", {
  timeout: STORY_MS,
}, async () => {
  const project = await projects.of("story", everything);
  await project.up();
  await project.requireNoChange();
  expect(await expirationDays("story")).toBe(90);

  await project.up({ DAYS: "120" });
  expect(await expirationDays("story")).toBe(120);
  await project.requireNoChange({ DAYS: "120" });

  const destroyed = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(destroyed.code, destroyed.all).toBe(0);
  await expect(s3.send(new HeadBucketCommand({ Bucket: "story" }))).rejects.toThrow();
});

itSlowly(
  "gives the writer a key that may put and nothing else, and tells its secret in no plain text",
  {
    timeout: STORY_MS,
  },
  async () => {
    // Without the bucket's policy: moto denies what the policy's condition would allow.
    const project = await projects.of("writers", beginning + writer);
    await project.up();
    // No server tells a key's secret twice.
    await project.pulumi(["refresh", "--yes", "--skip-preview"]);
    const output = async (name: string) =>
      (await project.pulumi(["stack", "output", name, "--show-secrets"])).stdout.trim();
    const [accessKeyId, secretAccessKey] = [await output("accessKeyId"), await output("secretAccessKey")];
    expect(await output("writerName")).toMatch(/^writer-[0-9a-f]{7}$/);
    expect(await output("arn")).toBe("arn:aws:s3:::writers");

    const asWriter = s3Client({ endpoint: moto.endpoint, accessKeyId, secretAccessKey });
    const object = { Bucket: "writers", Key: "dev/a", Body: "x" };
    await asWriter.send(new PutObjectCommand({ ...object, IfNoneMatch: "*" }));
    const elsewhere = asWriter.send(new PutObjectCommand({ ...object, Key: "prod/a" }));
    await expect(elsewhere).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });

    const texts = [await project.stateText(), (await project.pulumi(["preview", "--diff"])).all];
    for (const text of texts) {
      expect(text).not.toContain(secretAccessKey);
      expect(text).not.toContain(moto.secretAccessKey);
    }
  },
);

itSlowly("finds what was changed behind its back, and puts it right", { timeout: STORY_MS }, async () => {
  const project = await projects.of("drift", beginning + versioning);
  await project.up();
  await s3.send(
    new PutBucketVersioningCommand({ Bucket: "drift", VersioningConfiguration: { Status: "Suspended" } }),
  );
  const preview = await project.pulumi(["preview", "--refresh", "--diff"]);
  expect(preview.all).toMatch(/status\s*: "Suspended" => "Enabled"/);
  await project.pulumi(["up", "--refresh", "--yes", "--skip-preview"]);
  await project.requireNoChange();
});

describe("a bucket that is there already", () => {
  it("is never adopted without a word", { timeout: STORY_MS }, async () => {
    await s3.send(new CreateBucketCommand({ Bucket: "taken" }));
    const project = await projects.of("taken", beginning);
    const result = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(result.code).not.toBe(0);
    expect(result.all).toMatch(/creating .*Bucket.*backups.*BucketAlready(OwnedByYou|Exists)/s);
  });

  itSlowly("can be imported by its name, and is quiet after that", { timeout: STORY_MS }, async () => {
    await s3.send(new CreateBucketCommand({ Bucket: "found" }));
    const project = await projects.of("found", beginning.replace('tags: { stack: "dev" }', ""));
    await project.up({ ADOPT: "yes" });
    expect(await project.resource("backups")).toMatchObject({ id: "found", inputs: { bucket: "found" } });
    await project.requireNoChange();
  });
});

it("keeps a bucket that is not empty when all is to be destroyed", { timeout: STORY_MS }, async () => {
  const project = await projects.of("full", beginning);
  await project.up();
  await s3.send(new PutObjectCommand({ Bucket: "full", Key: "a", Body: "a backup" }));
  const result = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(result.code).not.toBe(0);
  expect(result.all).toContain("BucketNotEmpty");
  await s3.send(new HeadBucketCommand({ Bucket: "full" }));
});

itSlowly(
  "forgets a bucket that was removed behind its back, and makes it again",
  {
    timeout: STORY_MS,
  },
  async () => {
    const project = await projects.of("gone", beginning);
    await project.up();
    await s3.send(new DeleteBucketCommand({ Bucket: "gone" }));
    const result = await project.pulumi(["up", "--refresh", "--yes", "--skip-preview"]);
    expect(result.code, result.all).toBe(0);
    await s3.send(new HeadBucketCommand({ Bucket: "gone" }));
  },
);

it("refuses a property that does not exist, also deep within, before anything is made", {
  timeout: STORY_MS,
}, async () => {
  const project = await projects.of(
    "unmade",
    `${beginning}
    new aws.s3.BucketVersioning("versioning", { bucket: bucket.id, versioningConfiguration: { status: "Enabled", days: 3 } as never }, { provider });`,
  );
  const result = await project.pulumi(["preview"]);
  expect(result.code).not.toBe(0);
  expect(result.all).toContain("versioningConfiguration.days");
  await expect(s3.send(new HeadBucketCommand({ Bucket: "unmade" }))).rejects.toThrow();
});
