import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CLUSTER,
  CLUSTER_INSTANCE,
  INSTANCE,
  managedDatabaseIsKept,
  managedDatabaseIsNotPublic,
} from "../../../policy/managed-database.ts";
import { GENERATED, type Registered, runProgram, withoutSecrets } from "../../support/stack/mocks.ts";
import { violations } from "../../support/stack/policies.ts";
import { one } from "../../support/stack/resources.ts";

const folder = mkdtempSync(join(tmpdir(), "budgie-certificates-"));
const certificates = join(folder, "rds.pem");
const ROOTS = "-----BEGIN CERTIFICATE-----\nof a test\n-----END CERTIFICATE-----\n";
writeFileSync(certificates, ROOTS);
afterAll(() => rmSync(folder, { recursive: true }));

const CANARY = "canary-password-1";
const ON_AMAZON = {
  "budgie:databaseCertificates": certificates,
  "budgie:databaseSubnets": "subnet-0123456789abcdef0 subnet-0fedcba9876543210",
  "budgie:databaseSecurityGroups": "sg-0123456789abcdef0",
  "budgie:databasePassword": CANARY,
};

let rds: Registered[];
let aurora: Registered[];

beforeAll(async () => {
  const secretKeys = ["budgie:databasePassword"];
  rds = (await runProgram({ ...ON_AMAZON, "budgie:database": "rds" }, { secretKeys })).resources;
  aurora = (await runProgram({ ...ON_AMAZON, "budgie:database": "aurora" }, { secretKeys })).resources;
}, 120_000);

const ofType = (resources: Registered[], type: string) => resources.filter(found => found.type === type);
const envs = (resources: Registered[], name: string): string[] => one(resources, name).inputs.envs;

describe("a database of RDS", () => {
  it("is encrypted, private, protected, on two machines, and kept by Amazon for a week", () => {
    expect(one(rds, "database-instance").inputs).toMatchObject({
      identifier: "budgie-db",
      engine: "postgres",
      engineVersion: "16",
      dbName: "budgie_dev",
      username: "budgie_user",
      storageEncrypted: true,
      publiclyAccessible: false,
      deletionProtection: true,
      multiAz: true,
      backupRetentionPeriod: 7,
      deleteAutomatedBackups: false,
      skipFinalSnapshot: false,
      allocatedStorage: 20,
      maxAllocatedStorage: 200,
      vpcSecurityGroupIds: ["sg-0123456789abcdef0"],
      tags: { "budgie:project": "budgie", "budgie:stack": "dev", "budgie:prefix": "budgie" },
    });
  });

  it("stays when the stack is destroyed, with all that it uses", () => {
    for (const name of ["database-instance", "database-parameters", "database-subnets"]) {
      expect(one(rds, name).request.getRetainondelete(), name).toBe(true);
      expect(one(rds, name).request.getIgnorechangesList(), name).toEqual([]);
    }
  });

  it("leaves a snapshot under a name that no other database's has", () => {
    expect(one(rds, "database-instance").inputs.finalSnapshotIdentifier).toBe(`budgie-db-final-${GENERATED}`);
    expect(one(rds, "database-final-snapshot").request.getIgnorechangesList()).toContain("create");
  });

  it("takes no connection without TLS", () => {
    expect(one(rds, "database-parameters").inputs).toMatchObject({
      family: "postgres16",
      parameters: [{ name: "rds.force_ssl", value: "1" }],
    });
  });

  it("has its password as a secret, and nowhere else", () => {
    expect(withoutSecrets(one(rds, "database-instance").inputs.password)).toBe("[secret]");
    for (const { name, inputs } of rds)
      expect(JSON.stringify(withoutSecrets(inputs)), name).not.toContain(CANARY);
  });

  it("has neither a container nor a volume here", () => {
    const named = rds.map(({ name }) => name);
    expect(named).not.toContain("database-container");
    expect(named).not.toContain("database-volume");
    expect(named).not.toContain("backup-gate-of-older-stacks");
  });
});

it.each([
  ["rds", () => rds],
  ["aurora", () => aurora],
])("%s is as the policies want it", (_kind, resources) => {
  const found = resources().filter(({ type }) => [INSTANCE, CLUSTER, CLUSTER_INSTANCE].includes(type));
  expect(found.length).toBeGreaterThan(0);
  for (const { type, inputs } of found)
    for (const policy of [managedDatabaseIsKept, managedDatabaseIsNotPublic])
      expect(violations(policy, type, inputs)).toEqual([]);
});

describe("a database of Aurora", () => {
  it("is a cluster with the same safety, and two instances", () => {
    expect(one(aurora, "database-cluster").inputs).toMatchObject({
      clusterIdentifier: "budgie-db",
      engine: "aurora-postgresql",
      databaseName: "budgie_dev",
      masterUsername: "budgie_user",
      storageEncrypted: true,
      deletionProtection: true,
      skipFinalSnapshot: false,
      backupRetentionPeriod: 7,
    });
    expect(one(aurora, "database-cluster").request.getRetainondelete()).toBe(true);
    const instances = ofType(aurora, "aws:rds/clusterInstance:ClusterInstance");
    expect(instances.map(({ inputs }) => inputs.identifier)).toEqual(["budgie-db-1", "budgie-db-2"]);
    for (const { inputs } of instances) expect(inputs.publiclyAccessible).toBe(false);
    expect(one(aurora, "database-parameters").inputs).toMatchObject({
      family: "aurora-postgresql16",
      parameters: [{ name: "rds.force_ssl", value: "1" }],
    });
  });
});

describe("what uses it", () => {
  it("checks the server's certificate: the API", () => {
    expect(envs(rds, "backend-container")).toEqual(
      expect.arrayContaining([
        "PGSSLMODE=verify-full",
        "PGSSLROOTCERT=/run/database-roots.pem",
        "NODE_EXTRA_CA_CERTS=/run/database-roots.pem",
      ]),
    );
    expect(one(rds, "backend-container").inputs.uploads).toContainEqual({
      file: "/run/database-roots.pem",
      content: ROOTS,
      permissions: "0444",
    });
  });

  it("checks the server's certificate: the backup agent, which is told that nothing limits the server's memory", () => {
    const found = envs(rds, "backup-agent-container");
    expect(found).toContain("BUDGIE_DATABASE_ROOTS_FILE=/run/secrets/database-roots.pem");
    expect(found.filter(env => env.startsWith("BUDGIE_DATABASE_MEMORY_MEGABYTES"))).toEqual([]);
    expect(one(rds, "backup-agent-container").inputs.uploads).toContainEqual({
      file: "/run/secrets/database-roots.pem",
      content: ROOTS,
      permissions: "0444",
    });
    expect(one(rds, "backup-agent-container").inputs.labels).toContainEqual({
      label: "budgie.managed",
      value: "rds",
    });
  });

  it("says none of this to a stack with a container of its own", async () => {
    const { resources } = await runProgram();
    expect(envs(resources, "backend-container").filter(env => env.startsWith("PGSSL"))).toEqual([]);
    expect(resources.filter(({ type }) => type.startsWith("aws:"))).toEqual([]);
    const labels: { label: string }[] = one(resources, "backup-agent-container").inputs.labels;
    expect(labels.map(({ label }) => label)).not.toContain("budgie.managed");
  });

  it("backs it up before a change, although there is no container of it", () => {
    const gate = one(rds, "backup-gates-before-change").inputs;
    expect(JSON.parse(String(gate.stdin?.value ?? gate.stdin))).toMatchObject({ managed: true });
  });
});
