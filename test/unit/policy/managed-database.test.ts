import { describe, expect, it } from "vitest";
import {
  CLUSTER,
  CLUSTER_INSTANCE,
  INSTANCE,
  managedDatabaseIsKept,
  managedDatabaseIsNotPublic,
} from "../../../policy/managed-database.ts";
import { violations } from "../../support/stack/policies.ts";

const safe = { storageEncrypted: true, deletionProtection: true, backupRetentionPeriod: 7 };

describe.each([INSTANCE, CLUSTER])("%s", type => {
  it("is fine where it is encrypted, protected, backed up, and leaves a snapshot", () => {
    expect(violations(managedDatabaseIsKept, type, safe)).toEqual([]);
  });

  it.each([
    [{ storageEncrypted: false }, "storageEncrypted: true"],
    [{ deletionProtection: undefined }, "deletionProtection: true"],
    [{ skipFinalSnapshot: true }, "skipFinalSnapshot: false"],
    [{ backupRetentionPeriod: 0 }, "backupRetentionPeriod: 7"],
  ])("is not with %j", (inputs, type_) => {
    expect(violations(managedDatabaseIsKept, type, { ...safe, ...inputs }).join()).toContain(type_);
  });
});

it.each([INSTANCE, CLUSTER_INSTANCE])("%s has no address of the internet", type => {
  expect(violations(managedDatabaseIsNotPublic, type, { publiclyAccessible: false })).toEqual([]);
  expect(violations(managedDatabaseIsNotPublic, type, { publiclyAccessible: true })).toHaveLength(1);
});
