import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { findEngine } from "../../../engine/find-engine.ts";
import { DEFAULT_DATABASE_IMAGE } from "../../../shared/database-image.ts";
import { replicaContainerName } from "../../../shared/names.ts";
import { psqlIn } from "../database/psql-in.ts";
import { freePort } from "../servers/free-port.ts";
import { type SecondMachine, startSecondMachine } from "../servers/second-engine.ts";
import { until } from "../until.ts";
import { type CommandResult, createStack, type TestStack } from "./stack.ts";

const PASSWORD = "canary-password-of-a-lost-machine";

/** A row that was acknowledged, and how far the log was then, in bytes. */
export interface Acknowledged {
  n: number;
  position: number;
}

export interface Writing {
  /** Grows while rows are acknowledged. */
  rows: Acknowledged[];
  /** Waits until this many more are. */
  more(count: number): Promise<unknown>;
  stop(): void;
}

/** A stack whose database is on the second machine, which can lose its power, and whose replica is on this one. */
export interface TwoMachines {
  machine: SecondMachine;
  stack: TestStack;
  /** This machine's engine. */
  here: string;
  /** Writes rows into the table `written` on the database's machine, one commit each, until that is gone. */
  startWriting(): Promise<Writing>;
  failover(...args: string[]): Promise<CommandResult>;
  /** Of the second machine, after a failover. */
  rejoin(): Promise<CommandResult>;
  remove(): Promise<void>;
}

/** What a test wants on top, which may depend on the second machine. */
interface Wanted {
  settings?: Record<string, string>;
  environment?: NodeJS.ProcessEnv;
}

export async function createOnTwoMachines(
  want: (machine: SecondMachine) => Promise<Wanted> | Wanted = () => ({}),
): Promise<TwoMachines> {
  const here = (await findEngine()).host;
  const machine = await startSecondMachine([DEFAULT_DATABASE_IMAGE, "node:24-alpine"]);
  const { settings, environment } = await want(machine);
  const databasePort = await freePort();
  const stack = await createStack(
    {
      replicaHosts: here,
      replicationAddress: machine.there,
      replicationPort: String(await freePort()),
      databasePort: String(databasePort),
      ...settings,
    },
    { DOCKER_HOST: machine.engine.host, ...environment },
  );
  await stack.set("databasePassword", PASSWORD, { secret: true });
  // Typed there, where the API is published.
  const [file, net] = machine.typedThere;
  const { args, env } = stack.invocation("up", "--yes", "--skip-preview");
  const up = await execa(file, [net, "pulumi", ...args], { env, reject: false, all: true });
  if (up.exitCode !== 0) throw new Error(up.all);
  const decide = (...args: string[]) =>
    stack.budgie([...args, "--yes", "--config-file", stack.configFile], { environment: { DOCKER_HOST: "" } });
  return {
    machine,
    stack,
    here,
    startWriting: async () => {
      await createTable(machine, stack, here);
      return startWriter(machine, databasePort);
    },
    failover: (...args) => decide("failover", ...args),
    rejoin: () => decide("rejoin", "--host", machine.engine.host, "--address", machine.here),
    remove: async () => {
      if (!(await findEngine(machine.engine.host)).reachable) await machine.switchOn();
      await stack.remove();
      await machine.stop();
      // The volume of what was a replica outlives the stack.
      const docker = engineClient(here);
      const { Volumes: left } = await docker.listVolumes();
      for (const { Name: name } of left)
        if (name.startsWith(stack.prefix)) await docker.getVolume(name).remove();
    },
  };
}

async function createTable(machine: SecondMachine, stack: TestStack, here: string): Promise<void> {
  const database = `${stack.prefix}-db`;
  await psqlIn(machine.engine.host, database, "CREATE TABLE written (n integer PRIMARY KEY)");
  await until(
    "the table at the replica",
    () =>
      psqlIn(here, replicaContainerName(stack.prefix), "SELECT count(*) FROM written").catch(() => "none"),
    count => count === "0",
  );
}

/** How far the log is, in bytes. */
export function bytesOf(position: string): number {
  const [high, low] = position.split("/").map(part => Number.parseInt(part, 16));
  return (high as number) * 2 ** 32 + (low as number);
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

function startWriter(machine: SecondMachine, port: number): Writing {
  const to = { host: "127.0.0.1", port, user: "budgie_user", database: "budgie_dev", password: PASSWORD };
  const [file, net] = machine.typedThere;
  const typed = [process.execPath, "--input-type=module", "-e", WRITER, JSON.stringify(to)];
  const writer = spawn(file, [net, ...typed], { stdio: ["ignore", "pipe", "inherit"] });
  const rows: Acknowledged[] = [];
  createInterface({ input: writer.stdout }).on("line", line => {
    const [n, position] = line.split(" ") as [string, string];
    rows.push({ n: Number(n), position: bytesOf(position) });
  });
  return {
    rows,
    more: count => {
      const enough = rows.length + count;
      const known = () => rows.length;
      return until(`${count} more rows`, known, now => now >= enough, { withinMs: 60_000 });
    },
    stop: () => writer.kill(),
  };
}
