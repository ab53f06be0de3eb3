// A replica on a second machine: a container engine of its own behind a cable that can be unplugged.
import { afterAll, beforeAll, expect, it } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { DEFAULT_DATABASE_IMAGE } from "../../shared/database-image.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { freePort } from "../support/servers/free-port.ts";
import { type SecondMachine, startSecondMachine } from "../support/servers/second-engine.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

let second: SecondMachine;
let stack: TestStack;

beforeAll(async () => {
  second = await startSecondMachine([DEFAULT_DATABASE_IMAGE]);
  stack = await createStack();
  await stack.up();
});
afterAll(async () => {
  await stack?.remove();
  await second?.stop();
});

const there = () => engineClient(second.engine.host).getContainer(replicaContainerName(stack.prefix));
/** SQL on the replica, over its container's socket. */
const onReplica = async (sql: string) => {
  const answer = await collectFromContainer(there(), [
    ...["psql", "-XAtq", "-U", "budgie_user", "-d", "budgie_dev", "-c", sql],
  ]);
  if (answer.code !== 0) throw new Error(answer.stderr);
  return answer.stdout.trim();
};

it("comes up, follows the database, can be read and not be written, and shows no change after that", async () => {
  await stack.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  const volume = await stack.sql("SELECT system_identifier FROM pg_control_system()");
  await stack.set("replicaHosts", second.engine.host);
  await stack.set("replicationAddress", second.here);
  await stack.set("replicationPort", String(await freePort()));
  await stack.set("replicaKeepMegabytes", "64");
  await stack.up();
  await stack.requireNoChange();

  expect(await stack.sql("SELECT system_identifier FROM pg_control_system()")).toBe(volume);
  expect(await onReplica("SELECT count(*) FROM kept")).toBe("1000");
  await stack.sql("INSERT INTO kept VALUES (0)");
  await until(
    "the new row",
    () => onReplica("SELECT count(*) FROM kept"),
    count => count === "1001",
  );
  await expect(onReplica("INSERT INTO kept VALUES (0)")).rejects.toThrow("read-only transaction");
  expect(
    await stack.sql("SELECT usename, ssl, client_dn FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)"),
  ).toBe("budgie_replica|t|/CN=budgie_replica");
});

it("is away for longer than the database keeps its log, does not fill the database's disk, and copies everything anew", async () => {
  // So that what is left of the log is what somebody needs.
  for (const setting of ["min_wal_size = '32MB'", "max_wal_size = '64MB'"])
    await stack.sql(`ALTER SYSTEM SET ${setting}`);
  await stack.sql("SELECT pg_reload_conf()");
  await second.unplug();
  await stack.sql(
    "CREATE TABLE load AS SELECT g, repeat('x', 1000) AS t FROM generate_series(1, 250000) AS g",
  );
  await stack.sql("CHECKPOINT");
  expect(await stack.sql("SELECT wal_status FROM pg_replication_slots")).toBe("lost");
  const bytes = "SELECT sum(size) < 200 * 1024 * 1024 FROM pg_ls_waldir()";
  await stack.sql("SELECT pg_switch_wal()");
  await stack.sql("CHECKPOINT");
  expect(await stack.sql(bytes)).toBe("t");

  await second.plugIn();
  const rows = () => onReplica("SELECT count(*) FROM load").catch(() => "not there");
  await until("the rows", rows, count => count === "250000", { withinMs: 120_000, everyMs: 1000 });
  expect(await stack.sql("SELECT wal_status FROM pg_replication_slots")).toMatch(/reserved|extended/);
});
