import { describe, expect, it } from "vitest";
import { replicaName } from "../../../shared/replica-name.ts";
import { problemsOf, settingsOf } from "../../support/stack/parsed-settings.ts";

const TWO = {
  replicaHosts: "ssh://budgie@db2.example.com  tcp://10.0.0.7:2376",
  replicationAddress: "10.0.0.5",
};

describe("the replicas of a stack", () => {
  it("are none unless their machines are named", () => {
    expect(settingsOf({}).replicas).toBeUndefined();
  });

  it("are as many as there are engines, and no commit waits for them unless that is asked for", () => {
    expect(settingsOf(TWO).replicas).toEqual({
      hosts: ["ssh://budgie@db2.example.com", "tcp://10.0.0.7:2376"],
      address: "10.0.0.5",
      port: 5433,
      readPort: undefined,
      synchronous: false,
      keepMegabytes: 4096,
    });
  });

  it.each([
    ["replicaHosts", "db2.example.com"],
    ["replicaHosts", "ssh://a@db2 ssh://b@db2"],
    ["replicaHosts", "ssh://1 ssh://2 ssh://3 ssh://4 ssh://5"],
    ["replicationAddress", "0.0.0.0"],
    ["replicationAddress", "db1.example.com"],
    ["replicaKeepMegabytes", "63"],
  ])("do not have %s %j", (name, value) => {
    expect(problemsOf({ ...TWO, [name]: value })).toContain(`budgie:${name} is ${JSON.stringify(value)}.`);
  });

  it("need the address of the database's machine", () => {
    expect(problemsOf({ ...TWO, replicationAddress: "" })).toBe(
      "budgie:replicaHosts is set, but budgie:replicationAddress is not: the replicas would not know where the database is.\n" +
        "  type:    npm run pulumi -- config set budgie:replicationAddress 10.0.0.5",
    );
  });

  it.each([
    ["replicationAddress", "10.0.0.5"],
    ["replicaPort", "5434"],
    ["replicaBackupAddress", "10.0.0.6"],
    ["replicaSynchronous", "true"],
  ])("are meant by %s, which is refused without them", (name, value) => {
    expect(problemsOf({ [name]: value })).toContain(`npm run pulumi -- config rm budgie:${name}`);
  });
});

it.each([
  ["ssh://budgie@DB-2.example.com:2222", "db_2_example_com_2222"],
  ["tcp://10.0.0.7:2376", "10_0_0_7_2376"],
  ["unix:///run/podman/podman.sock", "run_podman_podman_sock"],
])("a replica at %s is called %s", (host, name) => {
  expect(replicaName(host)).toBe(name);
});
