import { readdir, readFile, readlink, rm } from "node:fs/promises";
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
  /** Ends the engine as its init system does. It stops its containers first. */
  shutDown(): Promise<void>;
  /** The power goes: the engine and every process of its containers end at once (-9). */
  powerOff(): Promise<void>;
  /** Starts it again after either. */
  start(): Promise<void>;
  /** Ends it and removes all that it had. */
  stop(): Promise<void>;
}

/** Networks of its own, apart from those of the machine's engine and of each other. */
let pools = 0;

/** With the base images that every stack needs, as the machine's own engine has them. */
export async function startDockerd(): Promise<TestDockerd> {
  const folder = await serverFolder("dockerd");
  const socket = join(folder, "docker.sock");
  const host = `unix://${socket}`;
  const [data, exec, pidFile] = [join(folder, "data"), join(folder, "exec"), join(folder, "pid")];
  const server = localServer({
    name: "dockerd",
    folder,
    file: "dockerd",
    args: [
      ...["--host", host, "--data-root", data, "--exec-root", exec, "--pidfile", pidFile],
      // No default network: its name on this machine, docker0, belongs to the machine's own engine.
      ...[
        "--bridge",
        "none",
        "--default-address-pool",
        `base=10.${220 + (process.pid % 20)}.${16 * pools++}.0/20,size=26`,
      ],
    ],
    ready: async () => (await findEngine(host)).reachable,
  });
  const docker = engineClient(host);
  const pid = async () => Number(await readFile(pidFile, "utf8"));
  /** What dockerd has started, and what that has started. */
  const killContainers = async () => {
    const pids = await processesOf(folder);
    for (const one of pids) kill(one);
    await until(
      "no process of its containers",
      () => processesOf(folder),
      left => left.length === 0,
    );
  };
  const powerOff = async () => {
    await server.kill();
    await killContainers();
    await unmount(folder);
    // As /run is after a reboot.
    await rm(exec, { recursive: true, force: true });
    await rm(pidFile, { force: true });
  };
  await server.start();
  await copyImages(docker);
  return {
    host,
    docker,
    start: server.start,
    shutDown: async () => {
      const running = await pid();
      process.kill(running, "SIGTERM");
      await until(
        "dockerd ended",
        () => isThere(running),
        there => !there,
        { withinMs: 60_000 },
      );
      await server.kill();
    },
    powerOff,
    stop: async () => {
      await powerOff();
      await server.stop();
    },
  };
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

/** What its containers had mounted, which keeps their folders from being removed. */
async function unmount(folder: string): Promise<void> {
  const { stdout } = await execa("findmnt", ["--raw", "--noheadings", "--output", "TARGET"]);
  const mounts = stdout.split("\n").filter(path => path.startsWith(folder));
  for (const mount of mounts.reverse()) await execa("umount", ["--lazy", mount], { reject: false });
}

/** The processes whose command line names the folder, and all that they have started. */
async function processesOf(folder: string): Promise<number[]> {
  const all = await Promise.all(
    (await readdir("/proc"))
      .filter(name => /^\d+$/.test(name))
      .map(async name => {
        const [status, command] = await Promise.all([
          readFile(`/proc/${name}/stat`, "utf8").catch(() => ""),
          readFile(`/proc/${name}/cmdline`, "utf8").catch(() => ""),
        ]);
        const [, state = "Z", parent = "0"] = /\) (\S) (\d+)/.exec(status) ?? [];
        return { pid: Number(name), parent: Number(parent), isZombie: state === "Z", command };
      }),
  );
  const mine = new Set(
    all
      .filter(({ command }) => command.includes(folder) && !command.includes("run-while-parent-lives"))
      .map(({ pid }) => pid),
  );
  for (let before = -1; before !== mine.size; ) {
    before = mine.size;
    for (const { pid, parent } of all) if (mine.has(parent)) mine.add(pid);
  }
  return all.filter(({ pid, isZombie }) => mine.has(pid) && !isZombie).map(({ pid }) => pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

async function isThere(pid: number): Promise<boolean> {
  return (await readlink(`/proc/${pid}/exe`).catch(() => null)) !== null;
}
