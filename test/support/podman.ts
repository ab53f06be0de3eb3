import { chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type Engine, engineClient, findEngine } from "../../components/engine.ts";
import { ensureBaseImages } from "../../toolchain/base-images.ts";
import { exclusively } from "../../toolchain/cache.ts";
import { localServer, serverFolder } from "./local-server.ts";
import { ensureOperator, type Operator, requirePodman } from "./podman-setup.ts";

/** Podman as it is installed by default, run by root, and as an ordinary user runs it, in a user namespace. */
export type PodmanKind = "rootful" | "rootless";

export interface TestPodman {
  engine: Engine;
  /** Who types the commands: an ordinary user of this machine, who is also the one that runs a rootless engine. */
  operator: Operator;
  /** A new folder that belongs to the operator alone, for backups. */
  operatorsFolder(): Promise<string>;
  /** Removes every container and volume of the engine and ends it. Its images stay, so that the next start takes seconds. */
  stop(): Promise<void>;
}

/**
 * Not in a home or cache folder of root's: the ordinary user must get through. Nor under /var/lib: without a /var/lib/cni an
 * ordinary user's Podman 4 hides that folder from itself, and with it the networks.
 */
const FOLDER = "/srv/budgie-test-podman";
/** Podman notices a reboot by this being empty. */
const RUN = "/run/budgie-test-podman";
/** Ends the API of a test that was killed; no test leaves it alone for as long. */
const IDLE_SECONDS = 900;

/**
 * The limits are those that a machine without CAP_SYS_RESOURCE can have; Podman asks for more. crun, where it is installed,
 * would be the default, and does not run on machines that have both versions of cgroups.
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

/** The driver is named because the default, for an ordinary user who may not use FUSE, copies whole images. */
const storageConf = (data: string, run: string) => `
[storage]
driver = "overlay"
graphroot = "${join(data, "storage")}"
runroot = "${join(run, "storage")}"
`;

/**
 * Runs a Podman of the tests' own, with the base images and with nothing in it that an earlier test left; waits while
 * another run on this machine has it. Installs Podman where it is missing. Throws, with what is missing, on a machine that
 * cannot have it: such a test must not pass.
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
      // Nothing of root's environment: its HOME and its XDG_RUNTIME_DIR would be used.
      ...["env", "-i", `PATH=${process.env.PATH}`, `HOME=${data}`, `XDG_RUNTIME_DIR=${run}`],
      ...[`CONTAINERS_CONF=${containersConf}`, `CONTAINERS_STORAGE_CONF=${storage}`],
      ...["podman", "--tmpdir", join(run, "tmp"), "--network-config-dir", join(data, "networks")],
      ...["system", "service", `--time=${IDLE_SECONDS}`, host],
    ],
    ready: async () => (await findEngine(host)).reachable,
  });
  await server.start();
  const engine = await findEngine(host);
  await removeEverything(engine);
  await ensureBaseImages(engine);
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
      // An ordinary user's Podman starts itself again inside its user namespace, and a signal to the first would leave that.
      await execa("pkill", ["-f", `^podman .*${socket}`], { reject: false });
      await server.stop();
      release();
    },
  };
}

/** Keeps other runs out until what it gives is called, or until this process has ended. */
function hold(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    exclusively(name, () => new Promise<void>(release => resolve(release))).catch(reject);
  });
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
