import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { policies } from "../../policy/policies.ts";
import { type ServedPolicyPack, servePolicyPack, type Violation } from "../support/policy-pack.ts";
import { type Registered, runProgram } from "../support/stack-mocks.ts";

const SECRET = "canary-password-1";

/** What the real program declares, by the settings that it declares it from. */
let asItIs: Registered[];
let opened: Registered[];
let withSecretsShown: Registered[];

beforeAll(async () => {
  asItIs = (await runProgram()).resources;
  const open = { "budgie:databasePort": "5433", "budgie:httpAddress": "0.0.0.0" };
  opened = (await runProgram({ ...open, "budgie:backendImage": "registry.example.com/budgie:1" })).resources;
  const shown = { "budgie:backendSecretsInEnvironment": "true", "budgie:databasePassword": SECRET };
  withSecretsShown = (await runProgram(shown, { secretKeys: ["budgie:databasePassword"] })).resources;
  vi.unstubAllEnvs();
});

const names = (found: Violation[]) => found.map(({ policy }) => policy);

describe("the pack, as the Pulumi CLI starts it", () => {
  let pack: ServedPolicyPack;
  beforeAll(async () => {
    pack = await servePolicyPack("by its folder");
  });
  afterAll(() => pack.stop());

  it("finds nothing to object to in the stack, nor in one whose settings open all that can be opened", async () => {
    expect(asItIs.length).toBeGreaterThan(10);
    expect(await pack.violations(asItIs)).toEqual([]);
    expect(await pack.violations(opened)).toEqual([]);
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
