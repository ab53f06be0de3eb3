// What each kind of object store makes the stack declare.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import ssh2 from "ssh2";
import { beforeAll, describe, expect, it } from "vitest";
import { bucketPolicy } from "../../../../components/offsite/bucket-policy.ts";
import { GENERATED, type Registered, runProgram, withoutSecrets } from "../../../support/stack/mocks.ts";
import { dependencies, one } from "../../../support/stack/resources.ts";

const BUCKET = "aws:s3/bucket:Bucket";
const AWS = { "budgie:objectStore": "aws", "budgie:bucket": "ledger" };
const KEYS = {
  "budgie:s3AccessKeyId": "canary-id",
  "budgie:s3SecretAccessKey": "canary-secret",
};
const WRITER = {
  "budgie:s3WriterAccessKeyId": "canary-writer-id",
  "budgie:s3WriterSecretAccessKey": "canary-writer-secret",
};
const S3 = {
  "budgie:objectStore": "s3",
  "budgie:bucket": "ledger",
  "budgie:s3Endpoint": "http://127.0.0.1:1",
  ...KEYS,
};
const SECRET_KEYS = [...Object.keys(KEYS), ...Object.keys(WRITER), "budgie:offsiteSshKey"];

const run = (config: Record<string, string>) => runProgram(config, { secretKeys: SECRET_KEYS });

/** Of the AWS provider, as `bucketVersioning`. */
const ofAws = (resources: Registered[]) => resources.filter(({ type }) => type.startsWith("aws:"));
const kinds = (resources: Registered[]) =>
  ofAws(resources)
    .map(({ type }) => type.slice("aws:".length).replace(/:.*/, ""))
    .sort();
/** Every resource that must exist before this one. */
const allBefore = (resources: Registered[], name: string): string[] => [
  ...new Set(
    dependencies(one(resources, name)).flatMap(before =>
      before ? [before, ...allBefore(resources, before)] : [],
    ),
  ),
];
/** As the agent's container would see it. */
const environment = (resources: Registered[]): Record<string, string> =>
  Object.fromEntries(
    one(resources, "backup-agent-container").inputs.envs.map((line: string) => [
      line.slice(0, line.indexOf("=")),
      line.slice(line.indexOf("=") + 1),
    ]),
  );
const secretFile = (resources: Registered[], file: string) => {
  const { uploads } = one(resources, "backup-agent-container").inputs;
  const upload = uploads.find((upload: { file: string }) => upload.file === file);
  expect(withoutSecrets(upload)).toEqual({ file, content: "[secret]", permissions: "0400" });
  return upload.content.value as string;
};

describe("a bucket in Amazon S3", () => {
  let resources: Registered[];
  let outputs: Record<string, unknown>;
  beforeAll(async () => {
    ({ resources, outputs } = await run(AWS));
  }, 60_000);

  it("has everything that keeps backups safe, and two users", () => {
    expect(kinds(resources)).toEqual([
      "iam/accessKey",
      "iam/accessKey",
      "iam/user",
      "iam/user",
      "iam/userPolicy",
      "iam/userPolicy",
      "s3/bucket",
      "s3/bucketLifecycleConfiguration",
      "s3/bucketOwnershipControls",
      "s3/bucketPolicy",
      "s3/bucketPublicAccessBlock",
      "s3/bucketServerSideEncryptionConfiguration",
      "s3/bucketVersioning",
    ]);
    expect(one(resources, "offsite-versioning").inputs.versioningConfiguration).toEqual({
      status: "Enabled",
    });
    expect(one(resources, "offsite-ownership").inputs.rule).toEqual({
      objectOwnership: "BucketOwnerEnforced",
    });
    expect(one(resources, "offsite-public-access-block").inputs).toMatchObject({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(one(resources, "offsite-encryption").inputs.rules).toEqual([
      { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } },
    ]);
  });

  it("outlives the stack with all its settings; only the users go", () => {
    for (const { type, name, request } of ofAws(resources)) {
      expect(request.getRetainondelete(), name).toBe(type.startsWith("aws:s3/"));
      expect(request.getProtect(), name).toBe(false);
    }
  });

  it("can never be emptied by Pulumi, and is marked as this stack's", () => {
    const { inputs, request } = one(resources, "offsite-bucket");
    expect(inputs).toEqual({
      bucket: "ledger",
      tags: { "budgie:project": "budgie", "budgie:stack": "dev", "budgie:prefix": "budgie" },
    });
    expect(request.getIgnorechangesList()).toEqual(["tags", "tagsAll", "objectLockEnabled", "forceDestroy"]);
  });

  it("lets backups expire, old versions and given-up uploads go, but only once it has versions", () => {
    const { inputs } = one(resources, "offsite-lifecycle");
    expect(inputs.rules).toEqual([
      {
        id: "backups",
        status: "Enabled",
        filter: { prefix: "dev/" },
        expiration: { days: 90 },
        noncurrentVersionExpiration: { noncurrentDays: 30 },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 2 },
      },
      {
        id: "delete-markers",
        status: "Enabled",
        filter: { prefix: "dev/" },
        expiration: { expiredObjectDeleteMarker: true },
      },
    ]);
    expect(allBefore(resources, "offsite-lifecycle")).toContain("offsite-versioning");
  });

  it("refuses plain http, and any put that could overwrite", () => {
    expect(JSON.parse(one(resources, "offsite-policy").inputs.policy)).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "NothingWithoutTls",
          Effect: "Deny",
          Principal: "*",
          Action: "s3:*",
          Resource: ["arn:aws:s3:::ledger", "arn:aws:s3:::ledger/*"],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
        {
          Sid: "NoOverwriting",
          Effect: "Deny",
          Principal: "*",
          Action: "s3:PutObject",
          Resource: "arn:aws:s3:::ledger/dev/*",
          Condition: { Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } },
        },
      ],
    });
    const sids = bucketPolicy("arn", "dev/", false).Statement.map(({ Sid }) => Sid);
    expect(sids, "over http, the first rule would refuse everything").toEqual(["NoOverwriting"]);
  });

  it("lets the agent add under the stack's prefix and the operator read there, and neither more", () => {
    const rights = (role: string) => JSON.parse(one(resources, `offsite-${role}-policy`).inputs.policy);
    expect(rights("writer").Statement).toEqual([
      {
        Effect: "Allow",
        Action: ["s3:AbortMultipartUpload", "s3:PutObject"],
        Resource: ["arn:aws:s3:::ledger/dev/*"],
      },
    ]);
    expect(rights("reader").Statement).toEqual([
      { Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::ledger/dev/*"] },
      {
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: ["arn:aws:s3:::ledger"],
        Condition: { StringLike: { "s3:prefix": ["dev/*"] } },
      },
    ]);
  });

  it("is what the agent is told of, with the writer's key as a file", () => {
    expect(environment(resources)).toMatchObject({
      BUDGIE_OFFSITE: "aws",
      BUDGIE_S3_BUCKET: "ledger",
      BUDGIE_S3_PREFIX: "dev/",
      BUDGIE_S3_REGION: "us-east-1",
      BUDGIE_S3_PATH_STYLE: "false",
      BUDGIE_S3_LACKS: "[]",
      BUDGIE_S3_WRITER_FILE: "/run/secrets/s3-writer.json",
    });
    expect(environment(resources)).not.toHaveProperty("BUDGIE_S3_ENDPOINT");
    expect(JSON.parse(secretFile(resources, "/run/secrets/s3-writer.json"))).toEqual({
      accessKeyId: "offsite-writer-key-id",
      secretAccessKey: GENERATED,
    });
  });

  it("is ready before the agent starts, and outlives the gate, which sends a last backup", () => {
    const agent = dependencies(one(resources, "backup-agent-container"));
    expect(agent).toEqual(
      expect.arrayContaining(["offsite-policy", "offsite-lifecycle", "offsite-writer-policy"]),
    );
    expect(dependencies(one(resources, "backup-gates-before-change"))).toContain("offsite-bucket");
  });

  it("is among the outputs, the reader's key as a secret", async () => {
    const { default: pulumi } = await import("@pulumi/pulumi");
    expect(outputs.offsite).toEqual({ kind: "aws", bucket: "ledger", lacks: [] });
    expect(await pulumi.isSecret(outputs.objectStoreReader as never)).toBe(true);
  });

  it("is asked for at the endpoint that is set, for everything but a VPC's", async () => {
    const at = async (endpoint: string) => {
      const { resources } = await run({ ...AWS, "budgie:s3Endpoint": endpoint });
      return one(resources, "offsite-provider").inputs;
    };
    const own = "http://127.0.0.1:1";
    expect(await at(own)).toMatchObject({
      region: "us-east-1",
      s3UsePathStyle: "true",
      endpoints: JSON.stringify([{ s3: own, iam: own, sts: own }]),
    });
    const vpc = "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com";
    expect((await at(vpc)).endpoints).toBe(JSON.stringify([{ s3: vpc }]));
  });

  it("locks and moves backups when that is asked for", async () => {
    const { resources } = await run({
      ...AWS,
      "budgie:objectLockDays": "7",
      "budgie:offsiteTransitionClass": "STANDARD_IA",
      "budgie:offsiteTransitionDays": "45",
    });
    expect(one(resources, "offsite-bucket").inputs.objectLockEnabled).toBe(true);
    const lock = one(resources, "offsite-object-lock");
    expect(lock.inputs.rule).toEqual({ defaultRetention: { mode: "GOVERNANCE", days: 7 } });
    expect(lock.request.getRetainondelete()).toBe(true);
    expect(allBefore(resources, "offsite-object-lock")).toContain("offsite-versioning");
    expect(one(resources, "offsite-lifecycle").inputs.rules[0].transitions).toEqual([
      { days: 45, storageClass: "STANDARD_IA" },
    ]);
  });
});

it.each([
  ["Amazon S3", AWS],
  ["another store", { ...S3, "budgie:objectStoreProfile": "minio" }],
])("of two settings of a bucket in %s, one is always made before the other", async (_, settings) => {
  const { resources } = await run({ ...settings, "budgie:objectLockDays": "7" });
  const ofBucket = resources
    .filter(({ type, name }) => type.startsWith("aws:s3/bucket") || name === "offsite-lifecycle")
    .map(({ name }) => name);
  expect(ofBucket.length).toBeGreaterThan(3);
  const order = ofBucket.map(
    name => allBefore(resources, name).filter(before => ofBucket.includes(before)).length,
  );
  expect(order.sort(), ofBucket.join(", ")).toEqual(ofBucket.map((_, place) => place));
});

describe("a bucket in another S3 store", () => {
  const SETTINGS = {
    minio: ["s3/bucket", "s3/bucketVersioning"],
    r2: ["s3/bucket"],
    b2: ["s3/bucket", "s3/bucketServerSideEncryptionConfiguration"],
    garage: ["s3/bucket"],
    s3: ["s3/bucket", "s3/bucketVersioning"],
  };

  it.each(Object.entries(SETTINGS))("of the kind %s has what that can do", async (profile, declared) => {
    const { resources } = await run({ ...S3, "budgie:objectStoreProfile": profile });
    expect(kinds(resources)).toEqual(declared);
    for (const { request, name } of ofAws(resources)) expect(request.getRetainondelete(), name).toBe(true);
    expect(resources.find(({ type }) => type === BUCKET)?.inputs).toEqual({ bucket: "ledger" });
    const { tags } = JSON.parse(one(resources, "offsite-ready").inputs.stdin.value);
    expect(tags).toEqual(profile === "minio" ? expect.objectContaining({ "budgie:stack": "dev" }) : null);
    const lifecycle = one(resources, "offsite-lifecycle");
    expect(lifecycle.inputs.create).toBe("node components/run.mjs store-lifecycle");
    expect(JSON.parse(lifecycle.inputs.stdin.value)).toEqual({
      bucket: "ledger",
      prefix: "dev/",
      region: "us-east-1",
      endpoint: "http://127.0.0.1:1",
      pathStyle: true,
      operator: { accessKeyId: "canary-id", secretAccessKey: "canary-secret" },
      expiry: {
        keepDays: 90,
        ...(["minio", "b2", "s3"].includes(profile) ? { noncurrentDays: 30 } : {}),
        ...(["r2", "b2", "garage"].includes(profile) ? { abandonedUploadDays: 2 } : {}),
        deleteMarkers: ["minio", "s3"].includes(profile),
      },
    });
    expect(JSON.parse(environment(resources).BUDGIE_S3_LACKS ?? "").length).toBeGreaterThan(2);
  });

  it("is set up with the operator's keys, which are kept secret", async () => {
    const { resources } = await run(S3);
    const { inputs } = one(resources, "offsite-provider");
    expect(JSON.stringify(withoutSecrets(inputs))).not.toContain("canary");
    expect(JSON.stringify(inputs)).toContain("canary-secret");
    expect(inputs).toMatchObject({
      skipCredentialsValidation: "true",
      skipRequestingAccountId: "true",
      endpoints: JSON.stringify([{ s3: "http://127.0.0.1:1" }]),
    });
  });

  it("gives the agent the writer's keys, or the operator's when there are none", async () => {
    const file = "/run/secrets/s3-writer.json";
    const own = await run({ ...S3, ...WRITER });
    expect(JSON.parse(secretFile(own.resources, file))).toEqual({
      accessKeyId: "canary-writer-id",
      secretAccessKey: "canary-writer-secret",
    });
    expect(JSON.stringify(environment(own.resources))).not.toContain("canary");
    const { resources } = await run(S3);
    expect(JSON.parse(secretFile(resources, file)).accessKeyId).toBe("canary-id");
    expect(environment(resources).BUDGIE_S3_LACKS).toContain("because budgie:s3WriterAccessKeyId is not set");
  });
});

describe("a bucket that is there already", () => {
  let server: Server;
  let tags: Record<string, string>;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const set = Object.entries(tags).map(
        ([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`,
      );
      response.end(
        request.method === "HEAD" ? undefined : `<Tagging><TagSet>${set.join("")}</TagSet></Tagging>`,
      );
    });
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    return () => server.close();
  });

  const config = () => ({
    ...S3,
    "budgie:s3Endpoint": `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    "budgie:objectStoreProfile": "minio",
  });

  it("and is this stack's is taken over with no manual step", async () => {
    tags = { "budgie:project": "budgie", "budgie:stack": "dev", "budgie:prefix": "budgie" };
    const { resources } = await run(config());
    expect(one(resources, "offsite-bucket").request.getImportid()).toBe("ledger");
  });

  it("and is another stack's is refused before anything is declared, in a preview as well", async () => {
    tags = { "budgie:project": "budgie", "budgie:stack": "prod", "budgie:prefix": "budgie" };
    await expect(run(config())).rejects.toThrow("its tags say that it is the stack prod's");
  });

  it("and cannot be looked at is made in a preview, with a warning", async () => {
    const { resources } = await run(S3);
    expect(one(resources, "offsite-bucket").request.getImportid()).toBe("");
  });
});

describe("a store of the stack's own", () => {
  let resources: Registered[];
  beforeAll(async () => {
    ({ resources } = await run({}));
  }, 60_000);

  it("needs no AWS plugin", () => {
    expect(ofAws(resources)).toEqual([]);
    expect(resources.map(({ type }) => type)).not.toContain("pulumi:providers:aws");
  });

  it("is a server that only the stack's network reaches, on a volume that outlives it", () => {
    const { inputs } = one(resources, "object-store-container");
    expect(inputs).toMatchObject({
      name: "budgie-object-store",
      command: ["minio", "server", "/data"],
      volumes: [{ volumeName: "budgie-object-store-data", containerPath: "/data" }],
      capabilities: { drops: ["ALL"] },
      removeVolumes: false,
    });
    expect(inputs.ports).toBeUndefined();
    expect(one(resources, "object-store-image").inputs.name).toBe("pgsty/silo:RELEASE.2026-09-16T00-00-00Z");
    const volume = one(resources, "object-store-volume");
    expect(volume.request.getRetainondelete()).toBe(true);
    expect(volume.request.getIgnorechangesList()).toEqual(["labels", "driver", "driverOpts"]);
  });

  it("gets its root's password as a file, which nobody else has", () => {
    const { uploads, ...inspectable } = one(resources, "object-store-container").inputs;
    const [rootFile, ...others] = uploads;
    expect(rootFile.content.value).toBe(`MINIO_ROOT_USER=budgie-root\nMINIO_ROOT_PASSWORD=${GENERATED}\n`);
    expect(JSON.stringify([inspectable, others])).not.toContain(GENERATED);
    const agent = one(resources, "backup-agent-container").inputs;
    expect(JSON.stringify(agent)).not.toContain("budgie-root");
  });

  it("is set up from the agent's container, and outlives the gate", () => {
    const step = one(resources, "object-store-bucket");
    expect(step.inputs.create).toBe("node components/run.mjs local-store-bucket");
    expect(dependencies(step)).toEqual(
      expect.arrayContaining(["backup-agent-container", "object-store-container"]),
    );
    expect(JSON.parse(step.inputs.stdin.value).wanted).toEqual({
      endpoint: "http://budgie-object-store:9000",
      region: "us-east-1",
      bucket: "budgie-backups",
      prefix: "dev/",
      keepDays: 90,
      noncurrentDays: 30,
      lockDays: 0,
      root: { accessKeyId: "budgie-root", secretAccessKey: GENERATED },
      writer: { accessKeyId: "budgie-writer", secretAccessKey: GENERATED },
      reader: { accessKeyId: "budgie-reader", secretAccessKey: GENERATED },
    });
    expect(dependencies(one(resources, "backup-agent-container"))).toContain("object-store-container");
    expect(dependencies(one(resources, "backup-gates-before-change"))).toContain("object-store-bucket");
  });

  it("is what the agent is told of", () => {
    expect(environment(resources)).toMatchObject({
      BUDGIE_OFFSITE: "local",
      BUDGIE_S3_BUCKET: "budgie-backups",
      BUDGIE_S3_ENDPOINT: "http://budgie-object-store:9000",
      BUDGIE_S3_PATH_STYLE: "true",
    });
    expect(JSON.parse(secretFile(resources, "/run/secrets/s3-writer.json")).accessKeyId).toBe(
      "budgie-writer",
    );
  });
});

describe("no store", () => {
  it("is nothing at all, and said so", async () => {
    const { resources, outputs } = await run({ "budgie:objectStore": "none" });
    expect(resources.filter(({ name }) => /^(object-store|offsite)/.test(name))).toEqual([]);
    expect(environment(resources).BUDGIE_OFFSITE).toBe("none");
    expect(environment(resources)).not.toHaveProperty("BUDGIE_S3_WRITER_FILE");
    expect(outputs.offsite).toMatchObject({
      kind: "none",
      lacks: [expect.stringContaining("destroys them all")],
    });
    expect(outputs.objectStoreReader).toBeUndefined();
  });
});

it("another machine over ssh is reached with a key that only the agent can read", async () => {
  const { private: key, public: hostKey } = ssh2.utils.generateKeyPairSync("ed25519");
  const { resources } = await run({
    "budgie:offsiteSsh": "budgie@nas:/backups",
    "budgie:offsiteSshKey": key,
    "budgie:offsiteSshHostKey": hostKey,
  });
  expect(environment(resources)).toMatchObject({
    BUDGIE_SSH_TARGET: "ssh://budgie@nas:22/backups",
    BUDGIE_SSH_KEY_FILE: "/run/secrets/ssh-key",
    BUDGIE_SSH_HOST_KEY: hostKey,
  });
  expect(secretFile(resources, "/run/secrets/ssh-key")).toBe(`${key.trimEnd()}\n`);
});
