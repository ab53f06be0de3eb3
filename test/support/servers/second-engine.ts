import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { type Engine, findEngine } from "../../../engine/find-engine.ts";
import { exclusively } from "../../../toolchain/machine/cache.ts";
import { localServer } from "./local-server.ts";

/** A second machine, as far as its network and its container engine go: a dockerd of its own behind a cable of its own. */
export interface SecondMachine {
  engine: Engine;
  /** This machine's address on the cable, and the other's. */
  here: string;
  there: string;
  /** What a command begins with that is typed there. */
  typedThere: readonly [string, string];
  /** Unplugs the cable, and plugs it in again. */
  unplug(): Promise<void>;
  plugIn(): Promise<void>;
  stop(): Promise<void>;
}

const NAME = "budgie-second";
const [HERE, THERE] = ["10.231.77.1", "10.231.77.2"];
const CABLE = `${NAME}-a`.slice(-15);
const CABLE_THERE = `${NAME}-b`.slice(-15);

/** Starts one with the images given, which it gets from the first engine. Waits while another run of this machine has it. */
export async function startSecondMachine(images: readonly string[]): Promise<SecondMachine> {
  const release = await hold();
  const folder = await mkdtemp(join(tmpdir(), "budgie-test-second-"));
  await ip("netns", "del", NAME).catch(() => undefined);
  await ip("link", "del", CABLE).catch(() => undefined);
  await layCable();
  const socket = join(folder, "docker.sock");
  const data = join(folder, "data");
  await mkdir(data);
  await mkdir("/etc/docker", { recursive: true });
  const server = localServer({
    name: "second-dockerd",
    folder,
    file: "nsenter",
    // Its network is another, and the folder in which an engine keeps who it is. What else a machine has it needs as it is.
    args: [
      `--net=/run/netns/${NAME}`,
      ...["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /etc/docker && exec "$@"', "sh"],
      ...["dockerd", "--host", `unix://${socket}`, "--data-root", data, "--exec-root", join(folder, "exec")],
      ...["--pidfile", join(folder, "dockerd.pid")],
    ],
    ready: async () => (await findEngine(`unix://${socket}`)).reachable,
  });
  await server.start();
  const engine = await findEngine(`unix://${socket}`);
  for (const image of images)
    await execa("sh", ["-c", `docker save "$0" | docker --host unix://${socket} load`, image]);
  return {
    engine,
    here: HERE,
    there: THERE,
    typedThere: ["nsenter", `--net=/run/netns/${NAME}`],
    unplug: () => ip("link", "set", CABLE, "down"),
    plugIn: () => ip("link", "set", CABLE, "up"),
    stop: async () => {
      const client = engineClient(engine.host);
      for (const { Id: id } of await client.listContainers({ all: true }))
        await client.getContainer(id).remove({ force: true, v: true });
      await server.stop();
      await ip("netns", "del", NAME);
      await rm(folder, { recursive: true, force: true });
      release();
    },
  };
}

async function layCable(): Promise<void> {
  await ip("netns", "add", NAME);
  await ip("link", "add", CABLE, "type", "veth", "peer", "name", CABLE_THERE, "netns", NAME);
  await ip("addr", "add", `${HERE}/24`, "dev", CABLE);
  await ip("link", "set", CABLE, "up");
  const there = (...args: string[]) => ip("-n", NAME, ...args);
  await there("addr", "add", `${THERE}/24`, "dev", CABLE_THERE);
  await there("link", "set", CABLE_THERE, "up");
  await there("link", "set", "lo", "up");
  await there("route", "add", "default", "via", HERE);
}

async function ip(...args: string[]): Promise<void> {
  await execa("ip", args);
}

/** There is one address of it. */
function hold(): Promise<() => void> {
  return new Promise((resolve, reject) => {
    exclusively("test-second-machine", () => new Promise<void>(release => resolve(release))).catch(reject);
  });
}
