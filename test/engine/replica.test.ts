// A replica on a second machine: a container engine of its own behind a cable that can be unplugged.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { DEFAULT_DATABASE_IMAGE } from "../../shared/database-image.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { psqlIn } from "../support/database/psql-in.ts";
import { freePort } from "../support/servers/free-port.ts";
import { type SecondMachine, startSecondMachine } from "../support/servers/second-engine.ts";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const PASSWORD = "canary-password-of-a-replica";

let databasePort: number;
let second: SecondMachine;
let stack: TestStack;

beforeAll(async () => {
  // The second is what the API runs on, after a failover.
  second = await startSecondMachine([DEFAULT_DATABASE_IMAGE, "node:24-alpine"]);
  stack = await createStack();
  databasePort = await freePort();
  await stack.up();
});
afterAll(async () => {
  await stack?.remove();
  await second?.stop();
});

const onReplica = (sql: string) => psqlIn(second.engine.host, replicaContainerName(stack.prefix), sql);
/** After a failover, on the second machine. */
const onDatabaseThere = (sql: string) => psqlIn(second.engine.host, `${stack.prefix}-db`, sql);

it("comes up, follows the database, can be read and not be written, and shows no change after that", async () => {
  await stack.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  const volume = await stack.sql("SELECT system_identifier FROM pg_control_system()");
  await stack.set("replicaHosts", second.engine.host);
  await stack.set("replicationAddress", second.here);
  await stack.set("replicationPort", String(await freePort()));
  await stack.set("replicaBackupAddress", second.there);
  await stack.set("replicaKeepMegabytes", "64");
  await stack.set("databasePort", String(databasePort));
  await stack.set("databasePassword", PASSWORD, { secret: true });
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

/** Rows of `kept` in the newest backup, as its manifest says, and what the command told. */
async function backUp(): Promise<{ rows: number; told: string }> {
  const { code, all } = await stack.budgie(["backup"]);
  expect(code, all).toBe(0);
  const [newest] = JSON.parse((await stack.budgie(["list", "--json"])).stdout);
  const manifest = JSON.parse(
    await readFile(join(stack.backupDir, newest.name.replace(/\.sql$/, ".json")), "utf8"),
  );
  const table = manifest.tables.find(({ name }: { name: string }) => name.endsWith("kept"));
  return { rows: table.rows, told: all };
}

it("is read for backups, which hold every row that was committed before them", async () => {
  for (let n = 0; n < 3; n++) {
    await stack.sql("INSERT INTO kept VALUES (0)");
    const { rows, told } = await backUp();
    expect(told).toContain(`Reading from the replica at ${second.there}`);
    expect(rows).toBe(Number(await stack.sql("SELECT count(*) FROM kept")));
  }
  const drilled = await stack.budgie(["drill", "latest"]);
  expect(drilled.code, drilled.all).toBe(0);
  expect(await onReplica("SHOW hot_standby_feedback"), "the database keeps what is read there").toBe("on");
});

it("is away for longer than the database keeps its log, does not fill the database's disk, and copies everything anew", async () => {
  // So that what is left of the log is what somebody needs.
  for (const setting of ["min_wal_size = '32MB'", "max_wal_size = '64MB'"])
    await stack.sql(`ALTER SYSTEM SET ${setting}`);
  await stack.sql("SELECT pg_reload_conf()");
  await second.unplug();
  const away = await backUp();
  expect(away.told).toContain(
    `The replica at ${second.there} could not be read, so the database itself is: `,
  );
  expect(away.rows).toBe(Number(await stack.sql("SELECT count(*) FROM kept")));
  const before = await stack.sql("SELECT pg_current_wal_lsn()");
  await stack.sql("INSERT INTO kept SELECT generate_series(1001, 2000)");
  const lost = Number(await stack.sql(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '${before}')`));
  expect(await onReplica("SELECT count(*) FROM kept")).toBe("1004");
  const { server } = JSON.parse((await stack.budgie(["status", "--json"])).stdout);
  expect(server.replicas[0].lagBytes, "what a failover would lose now").toBeGreaterThanOrEqual(lost);
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

/** Writes rows until the database is gone, and tells which ones it has acknowledged. */
async function writeUntilItIsGone(): Promise<{ rows: number[]; gone: Promise<void> }> {
  const rows: number[] = [];
  const client = new pg.Client({
    ...{
      host: "127.0.0.1",
      port: databasePort,
      user: "budgie_user",
      database: "budgie_dev",
      password: PASSWORD,
    },
  });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("CREATE TABLE written (n integer PRIMARY KEY)");
  const gone = (async () => {
    for (let n = 1; ; n++) {
      await client.query("INSERT INTO written VALUES ($1)", [n]);
      rows.push(n);
    }
  })().catch(() => undefined);
  return { rows, gone };
}

/** Typed on the second machine, where the stack is after a failover. */
const typedThere = (...command: string[]) => {
  const [file, net] = second.typedThere;
  return execa(file, [net, ...command], { env: stack.invocation().env, reject: false, all: true });
};
const typed = (command: string, ...args: string[]) => {
  const options = ["--config-file", stack.configFile, ...args];
  return typedThere("node", "scripts/budgie.mjs", "--stack", stack.name, command, ...options);
};

/** The stack's settings in another file, with one that differs. */
async function settingsWith(name: string, value: string): Promise<string> {
  const settings = parse(await readFile(stack.configFile, "utf8")) as { config: Record<string, unknown> };
  const file = `${stack.configFile}.other`;
  await writeFile(file, stringify({ ...settings, config: { ...settings.config, [name]: value } }));
  return file;
}

it("becomes the database when that is killed: with commits that wait for it, no acknowledged row is lost", async () => {
  await stack.set("replicaSynchronous", "true");
  await stack.up();
  const refused = await typed("failover", "--yes");
  expect(refused.exitCode, refused.all).toBe(9);
  expect(refused.all).toContain("npx budgie failover --while-it-serves");

  // From here its engine is not reached; the replica still hears of it.
  const unreached = [
    "--yes",
    "--config-file",
    await settingsWith("budgie:engineHost", "unix:///nonexistent.sock"),
  ];
  const sends = await typed("failover", ...unreached);
  expect(sends.exitCode, sends.all).toBe(9);
  expect(sends.all).toContain("the database itself still sends to");

  const { rows, gone } = await writeUntilItIsGone();
  await until(
    "some rows",
    () => rows.length,
    count => count > 300,
    { withinMs: 60_000 },
  );
  const old = stack.docker.getContainer(`${stack.prefix}-db`);
  await old.kill({ signal: "SIGKILL" });
  await gone;
  const unknown = await typed("failover", ...unreached);
  expect(unknown.exitCode, unknown.all).toBe(9);
  expect(unknown.all).toContain("npx budgie failover --old-is-off");

  const { exitCode, all } = await typed("failover", "--yes");
  expect(exitCode, all).toBe(0);
  const written = await onDatabaseThere("SELECT n FROM written");
  const there = new Set(written.split("\n").map(Number));
  expect(rows.filter(n => !there.has(n))).toEqual([]);
  expect((await old.inspect()).HostConfig.RestartPolicy?.Name).toBe("no");
  const health = await typedThere(
    "node",
    "-p",
    `fetch("${stack.url}/health").then(({ status }) => console.log(status))`,
  );
  expect(health.stdout).toContain("200");
  const { args } = stack.invocation("preview", "--refresh", "--expect-no-changes", "--diff");
  const preview = await typedThere("pulumi", ...args);
  expect(preview.exitCode, preview.all).toBe(0);
});

itSlowly("has the old machine follow it, whose own data is kept aside", async () => {
  const own = stack.docker.modem as { socketPath?: string };
  const host = `unix://${own.socketPath}`;
  const toItself = ["--host", second.engine.host, "--address", second.there, "--yes"];
  const refused = await typed("rejoin", ...toItself);
  expect(refused.exitCode, refused.all).toBe(2);
  expect(refused.all).toContain("leads to the engine that the database is on");

  const { exitCode, all } = await typed("rejoin", "--host", host, "--address", second.there, "--yes");
  expect(exitCode, all).toBe(0);
  const onReplicaHere = (sql: string) => psqlIn(host, replicaContainerName(stack.prefix), sql);
  const rows = () => onReplicaHere("SELECT count(*) FROM written");
  expect(await rows()).toBe(await onDatabaseThere("SELECT count(*) FROM written"));
  await onDatabaseThere("INSERT INTO written VALUES (0)");
  await until(
    "the new row",
    () => onReplicaHere("SELECT min(n) FROM written"),
    first => first === "0",
  );
  const kept = (await stack.docker.listVolumes()).Volumes.filter(({ Name: name }) =>
    name.startsWith(`${stack.prefix}-postgres-data-`),
  );
  expect(kept).toHaveLength(1);

  const again = await typed("rejoin", "--host", host, "--address", second.there, "--yes");
  expect(again.exitCode, again.all).toBe(0);
  expect(await rows()).toBe(await onDatabaseThere("SELECT count(*) FROM written"));
  for (const { Name: name } of kept) await stack.docker.getVolume(name).remove();
});

itSlowly("is left for the old machine while it serves, and no row is lost", async () => {
  await onDatabaseThere("INSERT INTO written SELECT generate_series(100001, 150000)");
  const count = await onDatabaseThere("SELECT count(*) FROM written");
  const moved = await stack.budgie([
    ...["failover", "--while-it-serves", "--yes", "--config-file", stack.configFile],
  ]);
  expect(moved.code, moved.all).toBe(0);
  expect(await stack.sql("SELECT count(*) FROM written")).toBe(count);
  expect((await fetch(`${stack.url}/health`)).status).toBe(200);
  await stack.requireNoChange();
});
