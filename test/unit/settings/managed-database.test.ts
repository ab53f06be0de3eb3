import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { problemsOf, settingsOf } from "../../support/stack/parsed-settings.ts";

const folder = mkdtempSync(join(tmpdir(), "budgie-certificates-"));
const certificates = join(folder, "rds.pem");
writeFileSync(certificates, "-----BEGIN CERTIFICATE-----\nof a test\n-----END CERTIFICATE-----\n");
const nothing = join(folder, "nothing.pem");
writeFileSync(nothing, "<html>403</html>");
afterAll(() => rmSync(folder, { recursive: true }));

const RDS = { database: "rds", databaseCertificates: certificates };

describe("a database that Amazon runs", () => {
  it("is none unless that is said", () => {
    expect(settingsOf({}).managed).toBeUndefined();
  });

  it("has a second machine, a week of snapshots and storage that grows, unless something else is said", () => {
    expect(settingsOf(RDS).managed).toEqual({
      kind: "rds",
      region: "us-east-1",
      instanceClass: "db.t4g.medium",
      storage: { gigabytes: 20, atMostGigabytes: 200 },
      multiAz: true,
      snapshotDays: 7,
      subnets: [],
      securityGroups: [],
      rootCertificates: "-----BEGIN CERTIFICATE-----\nof a test\n-----END CERTIFICATE-----\n",
      certificatesFile: certificates,
    });
  });

  it("is where the settings say, and lets in whom they say", () => {
    const where = {
      databaseSubnets: "subnet-0123456789abcdef0  subnet-0fedcba9876543210",
      databaseSecurityGroups: "sg-0123456789abcdef0",
      databaseStorageGigabytes: "50000",
    };
    expect(settingsOf({ ...RDS, ...where }).managed).toMatchObject({
      subnets: ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"],
      securityGroups: ["sg-0123456789abcdef0"],
      storage: { gigabytes: 50_000, atMostGigabytes: 65_536 },
    });
  });

  it.each([
    ["database", "postgres"],
    ["databaseInstanceClass", "t4g.medium"],
    ["databaseStorageGigabytes", "19"],
    ["databaseStorageGigabytes", "50001"],
    ["databaseSnapshotDays", "0"],
    ["databaseSubnets", "subnet-0123456789abcdef0"],
    ["databaseSubnets", "subnet-0123456789abcdef0 subnet-0123456789abcdef0"],
    ["databaseSecurityGroups", "10.0.0.0/8"],
  ])("does not have %s %j", (name, value) => {
    expect(problemsOf({ ...RDS, [name]: value })).toContain(`budgie:${name} is ${JSON.stringify(value)}.`);
  });

  it.each([
    ["", /budgie:databaseCertificates is not set, so nobody could check/],
    [join(folder, "missing.pem"), /and that file is not there/],
    [folder, /and that file cannot be read/],
    [nothing, /there is no certificate in that file/],
  ])("is not reached without certificates: %s", (file, says) => {
    expect(problemsOf({ ...RDS, databaseCertificates: file })).toMatch(says);
    expect(problemsOf({ ...RDS, databaseCertificates: file })).toContain(
      "npm run pulumi -- config set budgie:databaseCertificates",
    );
  });

  it.each([
    [{ replicaHosts: "ssh://a@db2", replicationAddress: "10.0.0.5" }, "config rm budgie:replicaHosts"],
    [{ pointInTime: "true" }, "config rm budgie:pointInTime"],
    [{ backends: "3", httpAddress: "0.0.0.0" }, "config rm budgie:backends"],
    [{ databasePort: "5432" }, "config rm budgie:databasePort"],
    [{ database: "aurora", databaseStorageGigabytes: "20" }, "config rm budgie:databaseStorageGigabytes"],
    [{ databaseName: "_budgie" }, "config set budgie:databaseName budgie"],
    [{ databasePassword: "with/a-slash-and-more" }, "config set --secret budgie:databasePassword"],
  ])("does not go together with %j", (values, type) => {
    const said = problemsOf({ ...RDS, ...values } as Record<string, string>);
    expect(said).toContain(type);
    expect(said).not.toContain("with/a-slash");
  });

  it.each([
    ["databaseStorageGigabytes", "20"],
    ["databaseSubnets", "subnet-0123456789abcdef0 subnet-0fedcba9876543210"],
    ["databaseSecurityGroups", "sg-0123456789abcdef0"],
    ["databaseCertificates", certificates],
  ])("is meant by %s, which is refused for a container", (name, value) => {
    expect(problemsOf({ [name]: value })).toContain(`npm run pulumi -- config rm budgie:${name}`);
  });
});
