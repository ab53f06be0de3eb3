import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { engineClient } from "../../../engine/client.ts";
import { type Engine, findEngine } from "../../../engine/find-engine.ts";
import { ensureBaseImages } from "../../../toolchain/machine/base-images.ts";
import { exclusively } from "../../../toolchain/machine/cache.ts";
import { EVERYTHING } from "../../../toolchain/machine/needs.ts";
import { localServer, serverFolder } from "./local-server.ts";
import { ensureOperator, type Operator, requirePodman } from "./podman-setup.ts";

/** Podman run by root, or by an ordinary user in a user namespace; both as installed by default. */
export type PodmanKind = "rootful" | "rootless";

export interface TestPodman {
  engine: Engine;
  /** The ordinary user who types the commands, and runs a rootless engine. */
  operator: Operator;
  /** Makes a folder for backups that belongs to the operator alone. */
  operatorsFolder(): Promise<string>;
  /** Removes the engine's containers and volumes and ends it. Its images stay, so that the next start takes seconds. */
  stop(): Promise<void>;
}

/**
 * Not in root's home or cache, which the ordinary user cannot enter. Nor under /var/lib: where there is no /var/lib/cni, an
 * ordinary user's Podman 4 hides that folder from itself, and with it the networks.
 */
const FOLDER = "/srv/budgie-test-podman";
/** Podman notices a reboot by this being empty. */
const RUN = "/run/budgie-test-podman";
/** Ends the API of a test that was killed. No running test leaves it idle for so long. */
const IDLE_SECONDS = 900;

/**
 * A machine without CAP_SYS_RESOURCE can have these limits; Podman asks for more. crun would be the default where it is
 * installed, but does not run on machines that have both versions of cgroups.
 */
const CONTAINERS_CONF = `
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[network]
network_backend = "netavark"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** Names the driver: for an ordinary user who may not use FUSE, the default copies whole images. */
const storageConf = (data: string, run: string) => `
[storage]
driver = "overlay"
graphroot = "${join(data, "storage")}"
runroot = "${join(run, "storage")}"
`;

/**
 * Runs a Podman for tests, with the base images and nothing left by earlier tests. Waits while another run on this machine
 * uses it. Installs Podman where it is missing. On a machine that cannot have it, throws what is missing: a test that needs
 * it must not pass then.
 */
export async function startPodman(kind: PodmanKind): Promise<TestPodman> {
  await requirePodman();
  const release = await hold(`test-podman-${kind}`);
  try {
    return await start(kind, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function start(kind: PodmanKind, release: () => void): Promise<TestPodman> {
  const operator = await exclusively("test-podman-operator", () => ensureOperator(FOLDER));
  const owner = kind === "rootless" ? operator : { uid: 0, gid: 0 };
  const [data, run] = [join(FOLDER, kind), join(RUN, kind)];
  for (const parent of [FOLDER, RUN]) await mkdir(parent, { recursive: true, mode: 0o755 });
  for (const folder of [data, run]) await ownFolder(folder, owner);
  const [containersConf, storage] = [join(FOLDER, "containers.conf"), join(FOLDER, `storage-${kind}.conf`)];
  await writeFile(containersConf, CONTAINERS_CONF);
  await writeFile(storage, storageConf(data, run));

  const socket = join(run, `${process.pid}.sock`);
  const host = `unix://${socket}`;
  const server = localServer({
    name: `podman-${kind}`,
    folder: await serverFolder("podman"),
    file: "setpriv",
    args: [
      ...[`--reuid=${owner.uid}`, `--regid=${owner.gid}`, "--clear-groups", "--"],
      // Without root's environment, whose HOME and XDG_RUNTIME_DIR Podman would use.
      ...["env", "-i", `PATH=${process.env.PATH}`, `HOME=${data}`, `XDG_RUNTIME_DIR=${run}`],
      ...[`CONTAINERS_CONF=${containersConf}`, `CONTAINERS_STORAGE_CONF=${storage}`],
      ...["podman", "--tmpdir", join(run, "tmp"), "--network-config-dir", join(data, "networks")],
      ...["system", "service", `--time=${IDLE_SECONDS}`, host],
    ],
    ready: async () => (await findEngine(host)).reachable,
  });
  await server.start().catch(async () => {
    await clearRun(run, owner);
    await server.start();
  });
  const engine = await findEngine(host);
  await removeEverything(engine);
  await ensureBaseImages(engine, EVERYTHING);
  return {
    engine,
    operator,
    operatorsFolder: async () => {
      const folder = await mkdtemp(join(FOLDER, "backups-"));
      await chown(folder, operator.uid, operator.gid);
      return folder;
    },
    stop: async () => {
      await removeEverything(engine);
      // An ordinary user's Podman starts itself again inside its user namespace; a signal to the first process would not end that.
      await execa("pkill", ["-f", `^podman .*${socket}`], { reject: false });
      await server.stop();
      release();
    },
  };
}

/** Keeps other runs out until the returned function is called or this process ends. */
function hold(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    exclusively(name, () => new Promise<void>(release => resolve(release))).catch(reject);
  });
}

/**
 * A run that was killed with all its processes leaves a record of containers that are gone. An ordinary user's Podman looks for
 * the user namespace of one of them and does not start. Without the record it starts as after a reboot.
 */
async function clearRun(run: string, owner: Operator): Promise<void> {
  await rm(run, { recursive: true, force: true });
  await ownFolder(run, owner);
}

async function ownFolder(path: string, { uid, gid }: Operator): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chown(path, uid, gid);
}

async function removeEverything({ host }: Engine): Promise<void> {
  const docker = engineClient(host);
  for (const { Id: id } of await docker.listContainers({ all: true })) {
    await docker.getContainer(id).remove({ force: true, v: true });
  }
  await docker.pruneNetworks();
  for (const { Name: name } of (await docker.listVolumes()).Volumes) await docker.getVolume(name).remove();
}
