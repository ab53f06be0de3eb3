// A replica whose database goes with its whole machine, when commits do not wait for the replica.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { afterAll, beforeAll, expect } from "vitest";
import { engineClient } from "../../engine/client.ts";
import { findEngine } from "../../engine/find-engine.ts";
import { DEFAULT_DATABASE_IMAGE } from "../../shared/database-image.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { psqlIn } from "../support/database/psql-in.ts";
import { freePort } from "../support/servers/free-port.ts";
import { type SecondMachine, startSecondMachine } from "../support/servers/second-engine.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";
import { until } from "../support/until.ts";

const PASSWORD = "canary-password-of-a-lost-machine";

/** The database is on the second machine, which can lose its power; the replica is on this one. */
let machine: SecondMachine;
let stack: TestStack;
let databasePort: number;
let here: string;

beforeAll(async () => {
  if (!SLOW) return;
  here = (await findEngine()).host;
  machine = await startSecondMachine([DEFAULT_DATABASE_IMAGE, "node:24-alpine"]);
  databasePort = await freePort();
  stack = await createStack(
    {
      replicaHosts: here,
      replicationAddress: machine.there,
      replicationPort: String(await freePort()),
      databasePort: String(databasePort),
    },
    { DOCKER_HOST: machine.engine.host },
  );
  await stack.set("databasePassword", PASSWORD, { secret: true });
  // Typed there, where the API is published.
  const [file, net] = machine.typedThere;
  const { args, env } = stack.invocation("up", "--yes", "--skip-preview");
  const up = await execa(file, [net, "pulumi", ...args], { env, reject: false, all: true });
  expect(up.exitCode, up.all).toBe(0);
});
afterAll(async () => {
  await stack?.remove();
  await machine?.stop();
  if (!stack) return;
  // The volume of what was a replica outlives the stack.
  const docker = engineClient(here);
  const { Volumes: left } = await docker.listVolumes();
  for (const { Name: name } of left) if (name.startsWith(stack.prefix)) await docker.getVolume(name).remove();
});

const bytesOf = (position: string) => {
  const [high, low] = position.split("/").map(part => Number.parseInt(part, 16));
  return (high as number) * 2 ** 32 + (low as number);
};

/** A row that was acknowledged, and how far the log was then, in bytes. */
interface Acknowledged {
  n: number;
  position: number;
}

const WRITER = `
  import pg from "pg";
  const client = new pg.Client(JSON.parse(process.argv[1]));
  client.on("error", () => process.exit(0));
  await client.connect();
  for (let n = 1; ; n++) {
    await client.query("INSERT INTO written VALUES ($1)", [n]);
    const { rows } = await client.query("SELECT pg_current_wal_lsn() AS position");
    console.log(n + " " + rows[0].position);
  }`;

/** Writes rows on the database's machine until that is gone. */
function startWriter(): { rows: Acknowledged[]; writer: ChildProcess } {
  const to = { host: "127.0.0.1", port: databasePort, user: "budgie_user", database: "budgie_dev" };
  const [file, net] = machine.typedThere;
  const writer = spawn(
    file,
    [
      net,
      process.execPath,
      "--input-type=module",
      "-e",
      WRITER,
      JSON.stringify({ ...to, password: PASSWORD }),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const rows: Acknowledged[] = [];
  createInterface({ input: writer.stdout }).on("line", line => {
    const [n, position] = line.split(" ") as [string, string];
    rows.push({ n: Number(n), position: bytesOf(position) });
  });
  return { rows, writer };
}

/** What the status shows, and how far the log was before it was asked. */
async function shownBehind(): Promise<{ position: number; lagBytes: number }> {
  const position = bytesOf(
    await psqlIn(machine.engine.host, `${stack.prefix}-db`, "SELECT pg_current_wal_lsn()"),
  );
  const { stdout } = await stack.budgie(["status", "--json"]);
  const [replica] = JSON.parse(stdout).server.replicas;
  return { position, lagBytes: replica.lagBytes };
}

const failover = (...args: string[]) =>
  stack.budgie(["failover", "--yes", "--config-file", stack.configFile, ...args], {
    environment: { DOCKER_HOST: "" },
  });

itSlowly(
  "a machine that loses its power takes with it what the status showed as behind, and no more",
  async () => {
    const database = `${stack.prefix}-db`;
    await psqlIn(machine.engine.host, database, "CREATE TABLE written (n integer PRIMARY KEY)");
    await until(
      "the table at the replica",
      () =>
        psqlIn(here, replicaContainerName(stack.prefix), "SELECT count(*) FROM written").catch(() => "none"),
      count => count === "0",
    );
    const { rows, writer } = startWriter();
    const many = (more: number) => {
      const enough = rows.length + more;
      return until(
        "some rows",
        () => rows.length,
        count => count >= enough,
        { withinMs: 60_000 },
      );
    };
    await many(300);
    await machine.unplug();
    await many(300);
    const shown = await shownBehind();
    const inTime = rows.length;
    await machine.cutPower();
    writer.kill();
    await machine.plugIn();

    const unknown = await failover();
    expect(unknown.code, unknown.all).toBe(9);
    expect(unknown.all).toContain("npx budgie failover --old-is-off");
    const moved = await failover("--old-is-off");
    expect(moved.code, moved.all).toBe(0);

    const there = new Set((await psqlIn(here, database, "SELECT n FROM written")).split("\n").map(Number));
    const lost = rows.filter(({ n }) => !there.has(n));
    const first = lost[0] as Acknowledged;
    const told = `${lost.length} of ${rows.length} acknowledged rows are lost; status had shown ${shown.lagBytes} bytes after ${inTime} rows`;
    expect(lost.length, told).toBeGreaterThan(0);
    expect(
      rows.filter(({ n }) => n >= first.n),
      told,
    ).toEqual(lost);
    expect(first.position, told).toBeGreaterThan(shown.position - shown.lagBytes);
    console.log(told);
  },
);

itSlowly(
  "that machine follows the new database when it is back, and what only it had is kept aside",
  async () => {
    await machine.switchOn();
    const database = `${stack.prefix}-db`;
    const rejoined = await stack.budgie(
      [
        "rejoin",
        "--host",
        machine.engine.host,
        "--address",
        machine.here,
        "--yes",
        "--config-file",
        stack.configFile,
      ],
      { environment: { DOCKER_HOST: "" } },
    );
    expect(rejoined.code, rejoined.all).toBe(0);
    const count = await psqlIn(here, database, "SELECT count(*) FROM written");
    await until(
      "the rows",
      () => psqlIn(machine.engine.host, replicaContainerName(stack.prefix), "SELECT count(*) FROM written"),
      there => there === count,
    );
    const left = (await engineClient(machine.engine.host).listContainers({ all: true })).map(
      ({ Names: [name] }) => name,
    );
    expect(left).toEqual([`/${replicaContainerName(stack.prefix)}`]);
    const { Volumes: volumes } = await engineClient(machine.engine.host).listVolumes();
    expect(volumes.map(({ Name: name }) => name).filter(name => name.includes("-broken-"))).toHaveLength(1);
  },
);
