import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { findEngine } from "../../../engine/find-engine.ts";
import { databaseImage } from "../../../shared/database-image.ts";
import { until } from "../until.ts";
import { localServer, serverFolder } from "./local-server.ts";

/** A Docker engine of a test's own, for what would disturb the others: another host, or one that restarts. */
export interface TestDockerd {
  /** `unix:///…` */
  host: string;
  docker: Docker;
  /** On this machine; null while it does not run. */
  pid(): Promise<number | null>;
  /** Brings what its containers publish on a port of 127.0.0.1, which is another one there, to the same port here. */
  publish(port: number): Promise<void>;
  /** Ends the engine as its init system does. It stops its containers first. */
  shutDown(): Promise<void>;
  /** The power goes: the engine and every process of its containers end at once (-9). */
  powerOff(): Promise<void>;
  /** Starts it again after either. */
  start(): Promise<void>;
  /** Ends it and removes all that it had. */
  stop(): Promise<void>;
}

/**
 * With the base images that every stack needs, as the machine's own engine has them. It has namespaces of its own for the network,
 * because dockerd empties the rules of any other one as it starts, for mounts, and for processes: those end with their first.
 * @param network the name of its network's namespace. @default one that nobody else has
 */
export async function startDockerd(network?: string): Promise<TestDockerd> {
  const folder = await serverFolder("dockerd");
  const socket = join(folder, "docker.sock");
  const host = `unix://${socket}`;
  const [data, run, pidFile] = [join(folder, "data"), join(folder, "run"), join(folder, "pid")];
  const dockerd = ["dockerd", "--host", host, "--data-root", data, "--exec-root", run, "--pidfile", pidFile];
  const server = localServer({
    name: "dockerd",
    folder,
    file: "nsenter",
    args: [
      ...(network ? [`--net=/run/netns/${network}`] : []),
      ...["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount"],
      ...(network ? ["--"] : ["--net", "--"]),
      ...["sh", "-c", 'ip link set lo up; exec "$@"', "sh", ...dockerd],
    ],
    ready: async () => (await findEngine(host)).reachable,
  });
  const docker = engineClient(host);
  const relays: Server[] = [];
  /** On this machine, and none of `unshare`, whose arguments hold the same. */
  const pid = async () => {
    const { stdout } = await execa("pgrep", ["-f", `^dockerd .*${socket}`], { reject: false });
    return stdout === "" ? null : Number(stdout.split("\n")[0]);
  };
  const powerOff = async () => {
    await server.kill();
    await until("dockerd gone", pid, there => there === null);
    // As /run is after a reboot.
    await rm(run, { recursive: true, force: true });
    await rm(pidFile, { force: true });
  };
  await server.start();
  await copyImages(docker);
  return {
    host,
    docker,
    pid,
    publish: async port => {
      const server = createServer(client => void pid().then(there => relay(client, there, port)));
      relays.push(server);
      await new Promise<void>(listening => server.listen(port, "127.0.0.1", listening));
    },
    start: server.start,
    shutDown: async () => {
      process.kill((await pid()) ?? 0, "SIGTERM");
      await until("dockerd ended", pid, there => there === null, { withinMs: 60_000 });
      await server.kill();
    },
    powerOff,
    stop: async () => {
      for (const server of relays) server.close();
      await powerOff();
      await server.stop();
    },
  };
}

/** One process a connection, which ends with it. */
function relay(client: Socket, dockerd: number | null, port: number): void {
  client.on("error", () => undefined);
  if (dockerd === null) return void client.destroy();
  const script = `const server = require("node:net").connect(${port}, "127.0.0.1");
    server.on("error", () => process.exit(1));
    process.stdin.pipe(server).pipe(process.stdout);`;
  const inside = spawn("nsenter", [`--net=/proc/${dockerd}/ns/net`, process.execPath, "--eval", script], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  inside.stdin.on("error", () => undefined);
  client.pipe(inside.stdin);
  inside.stdout.pipe(client);
  client.on("close", () => inside.kill());
}

async function copyImages(to: Docker): Promise<void> {
  const { host } = await findEngine();
  const from = engineClient(host);
  for (const name of [databaseImage("16"), "node:24-alpine"]) {
    const loading = await to.loadImage(await from.getImage(name).get());
    await new Promise((resolve, reject) =>
      to.modem.followProgress(loading, error => (error ? reject(error) : resolve(null))),
    );
  }
}
