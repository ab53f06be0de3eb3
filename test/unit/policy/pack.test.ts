import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { policies } from "../../../policy/policies.ts";
import { type Registered, runProgram } from "../../support/stack/mocks.ts";
import { type ServedPolicyPack, servePolicyPack, type Violation } from "../../support/stack/policy-pack.ts";

const SECRET = "canary-password-1";

const PINNED = { "budgie:objectStoreImage": `pgsty/silo@sha256:${"0".repeat(64)}` };

/** What the real program declares, by the settings that it declares it from. */
let asItIs: Registered[];
let moving: Registered[];
let opened: Registered[];
let onAmazon: Registered[];
let withSecretsShown: Registered[];

beforeAll(async () => {
  const declared = async (config: Record<string, string>, secretKeys: string[] = []) =>
    (await runProgram(config, { secretKeys })).resources;
  asItIs = await declared({});
  moving = await declared({ "budgie:objectStoreImage": "pgsty/silo:latest" });
  const open = { "budgie:databasePort": "5433", "budgie:httpAddress": "0.0.0.0" };
  opened = await declared({ ...PINNED, ...open, "budgie:backendImage": "registry.example.com/budgie:1" });
  onAmazon = await declared({ "budgie:objectStore": "aws", "budgie:bucket": "example-budgie-backups" });
  const shown = { "budgie:backendSecretsInEnvironment": "true", "budgie:databasePassword": SECRET };
  withSecretsShown = await declared({ ...PINNED, ...shown }, ["budgie:databasePassword"]);
}, 60_000);

const names = (found: Violation[]) => found.map(({ policy }) => policy);

describe("the pack, as the Pulumi CLI starts it", () => {
  let pack: ServedPolicyPack;
  beforeAll(async () => {
    pack = await servePolicyPack("by its folder");
  });
  afterAll(() => pack.stop());

  it("finds nothing to object to in the stack, with a store of its own or with Amazon's", async () => {
    expect(await pack.violations(asItIs)).toEqual([]);
    expect(opened.length).toBeGreaterThan(10);
    expect(await pack.violations(opened)).toEqual([]);
    expect(onAmazon.map(({ type }) => type)).toContain("aws:s3/bucket:Bucket");
    expect(await pack.violations(onAmazon)).toEqual([]);
  });

  it("only advises to pin an image of the object store that has no tag that stays", async () => {
    expect(await pack.violations(moving)).toEqual([
      {
        policy: "images-do-not-move",
        mandatory: false,
        message: expect.stringContaining("object-store-image runs pgsty/silo:latest"),
      },
    ]);
  });

  it("misses any part of the bucket", async () => {
    const parts = [
      "PublicAccessBlock",
      "Versioning",
      "ServerSideEncryptionConfiguration",
      "LifecycleConfiguration",
    ];
    for (const part of parts) {
      const without = onAmazon.filter(({ type }) => !type.endsWith(`:Bucket${part}`));
      expect(without.length).toBe(onAmazon.length - 1);
      expect(await pack.violations(without)).toEqual([
        expect.objectContaining({
          mandatory: true,
          message: expect.stringContaining(`has no Bucket${part}`),
        }),
      ]);
    }
  });

  it("objects to secrets in the API's environment, without repeating them", async () => {
    const found = await pack.violations(withSecretsShown);
    expect(names(found)).toEqual(["no-secrets-in-environment", "no-secrets-in-environment"]);
    expect(found.map(({ mandatory }) => mandatory)).toEqual([true, true]);
    expect(found[0]?.message).toContain("DB_PASSWORD");
    expect(found[1]?.message).toContain("SESSION_SECRET");
    expect(JSON.stringify(found)).not.toContain(SECRET);
  });

  it("sees the options of a volume", async () => {
    const volume = asItIs.find(({ name }) => name === "database-volume") as Registered;
    const ignored = volume.request.getIgnorechangesList();
    volume.request.setIgnorechangesList(["labels"]);
    expect(names(await pack.violations([volume]))).toEqual(["volumes-are-not-replaced"]);
    volume.request.setIgnorechangesList(ignored);
  });
});

it("the pack also starts by its own program, for machines whose language host runs no packs", async () => {
  const pack = await servePolicyPack("by its program");
  try {
    expect(names(await pack.violations(withSecretsShown))).toContain("no-secrets-in-environment");
  } finally {
    await pack.stop();
  }
});

it("every policy has a name of its own, a description, and a severity", () => {
  expect(new Set(policies.map(({ name }) => name)).size).toBe(policies.length);
  for (const policy of policies) {
    expect(policy.name).toMatch(/^[a-z]+(-[a-z]+)+$/);
    expect(policy.description).toMatch(/\.$/);
    expect(policy.severity).toBeDefined();
  }
});
