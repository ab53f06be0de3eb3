import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { type Engine, findEngine } from "../../../engine/find-engine.ts";
import { exclusively } from "../../../toolchain/machine/cache.ts";
import { layCable, plugIn, removeCable, unplug } from "./cable.ts";
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
  /** The power goes: the engine and all that it runs end at once (-9). Its disk stays. */
  cutPower(): Promise<void>;
  /** Switches it on again. */
  switchOn(): Promise<void>;
  stop(): Promise<void>;
}

/** Docker lets nothing through between networks that are not its own. */
const BETWEEN_CABLES = ["FORWARD", "-i", "budgie-other+", "-o", "budgie-other+", "-j", "ACCEPT"];

/**
 * Starts one with the images given, which it gets from the first engine. Waits while another run of this machine has it.
 * @param number which one, where there are several. They reach one another.
 */
export async function startSecondMachine(images: readonly string[], number = 1): Promise<SecondMachine> {
  const name = `budgie-other${number}`;
  const network = { name, here: `10.231.${76 + number}.1`, there: `10.231.${76 + number}.2` };
  const release = await hold(name);
  const folder = await mkdtemp(join(tmpdir(), "budgie-test-second-"));
  await layCable(network);
  await betweenCables("--insert");
  const socket = join(folder, "docker.sock");
  const [data, run, pidFile] = [join(folder, "data"), join(folder, "run"), join(folder, "pid")];
  await mkdir(data);
  await mkdir("/etc/docker", { recursive: true });
  const server = localServer({
    name: "second-dockerd",
    folder,
    file: "nsenter",
    // Its network is another, and the folder in which an engine keeps who it is, and the processes, which end with their first. What else a
    // machine has it needs as it is.
    args: [
      `--net=/run/netns/${name}`,
      ...["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount", "--"],
      ...["sh", "-c", 'mount -t tmpfs none /etc/docker && exec "$@"', "sh"],
      ...["dockerd", "--host", `unix://${socket}`, "--data-root", data, "--exec-root", run],
      ...["--pidfile", pidFile],
    ],
    ready: async () => (await findEngine(`unix://${socket}`)).reachable,
  });
  await server.start();
  const engine = await findEngine(`unix://${socket}`);
  for (const image of images)
    await execa("sh", ["-c", `docker save "$0" | docker --host unix://${socket} load`, image]);
  return {
    engine,
    here: network.here,
    there: network.there,
    typedThere: ["nsenter", `--net=/run/netns/${name}`],
    unplug: () => unplug(network),
    plugIn: () => plugIn(network),
    cutPower: async () => {
      await server.kill();
      // As /run is after a reboot.
      await rm(run, { recursive: true, force: true });
      await rm(pidFile, { force: true });
    },
    switchOn: () => server.start(),
    stop: async () => {
      const client = engineClient(engine.host);
      for (const { Id: id } of await client.listContainers({ all: true }))
        await client.getContainer(id).remove({ force: true, v: true });
      await server.stop();
      await betweenCables("--delete");
      await removeCable(network);
      await rm(folder, { recursive: true, force: true });
      release();
    },
  };
}

async function betweenCables(how: "--insert" | "--delete"): Promise<void> {
  await execa("iptables", [how, ...BETWEEN_CABLES]);
}

/** There is one address of it. */
function hold(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    exclusively(name, () => new Promise<void>(release => resolve(release))).catch(reject);
  });
}
