import { chmod, chown, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type Engine, engineClient, findEngine } from "../../components/engine.ts";
import { ensureBaseImages } from "../../toolchain/base-images.ts";
import { exclusively } from "../../toolchain/cache.ts";
import { installed, isDebian } from "../../toolchain/container-engine.ts";
import { runLogged } from "../../toolchain/run-tool.ts";
import { localServer, serverFolder } from "./local-server.ts";

/** Podman as it is installed by default, run by root, and as an ordinary user runs it, in a user namespace. */
export type PodmanKind = "rootful" | "rootless";

export interface TestPodman {
  engine: Engine;
  /** Who types the commands: an ordinary user of this machine, who is also the one that runs a rootless engine. */
  operator: { uid: number; gid: number };
  /** A new folder that belongs to the operator alone, for backups. */
  operatorsFolder(): Promise<string>;
  /** Removes every container and volume of the engine and ends it. Its images stay, so that the next start takes seconds. */
  stop(): Promise<void>;
}

const USER = "budgie-test-podman";
/** Not in a home or cache folder of root's: the ordinary user must get through. Podman's own containers are elsewhere. */
const FOLDER = "/var/lib/budgie-test-podman";
/** Podman notices a reboot by this being empty. */
const RUN = "/run/budgie-test-podman";
/** Ends the API of a test that was killed; no test leaves it alone for as long. */
const IDLE_SECONDS = 900;

const PACKAGES = [
  ...["podman", "netavark", "aardvark-dns", "runc", "catatonit", "iptables"],
  // For an ordinary user's.
  ...["uidmap", "slirp4netns"],
];

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

/** As docs/podman.md advises for netavark before 1.9: else names lead nowhere now and then. */
const NETWORK_SETTINGS = ["all", "default"].map(which => `/proc/sys/net/ipv4/conf/${which}/arp_notify`);

/** The driver is named because the default, for an ordinary user who may not use FUSE, copies whole images. */
const storageConf = (data: string, run: string) => `
[storage]
driver = "overlay"
graphroot = "${join(data, "storage")}"
runroot = "${join(run, "storage")}"
`;

/**
 * Runs a Podman of the tests' own, with the base images and with nothing in it that an earlier test left. Installs Podman
 * where it is missing. Throws, with what is missing, on a machine that cannot have it: such a test must not pass.
 */
export async function startPodman(kind: PodmanKind): Promise<TestPodman> {
  await requirePodman();
  const operator = await exclusively("test-podman-user", ensureOperator);
  const owner = kind === "rootless" ? operator : { uid: 0, gid: 0 };
  const [data, run] = [join(FOLDER, kind), join(RUN, kind)];
  for (const parent of [FOLDER, RUN]) await mkdir(parent, { recursive: true, mode: 0o755 });
  for (const folder of [data, run]) await ownFolder(folder, owner);
  const [containersConf, storage] = [join(FOLDER, "containers.conf"), join(FOLDER, `storage-${kind}.conf`)];
  await writeFile(containersConf, CONTAINERS_CONF);
  await writeFile(storage, storageConf(data, run));
  for (const setting of NETWORK_SETTINGS) await writeFile(setting, "1");

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
    },
  };
}

async function requirePodman(): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      "This test runs Podman as root and as an ordinary user that it makes, which takes root. It did not run. Run it as root.",
    );
  }
  const programs = ["podman", "runc", "newuidmap", "slirp4netns", "catatonit", "iptables"];
  const missing = await Promise.all(programs.map(async program => !(await installed(program))));
  if (!missing.includes(true)) return;
  if (!(await isDebian())) {
    throw new Error(
      `Podman is not installed, and only Debian's is installed by this test: ${programs.join(", ")}.`,
    );
  }
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await exclusively("apt-get", async () => {
    await runLogged("apt-get-update", "apt-get", ["update"], { env });
    const install = ["install", "-y", "--no-install-recommends", ...PACKAGES];
    await runLogged("apt-get-install-podman", "apt-get", install, { env });
  });
}

/** The ordinary user, with the numbers of other users to give to containers, and the device that their network needs. */
async function ensureOperator(): Promise<{ uid: number; gid: number }> {
  const known = await execa("id", [USER], { reject: false });
  if (known.exitCode !== 0) {
    const home = ["--home-dir", FOLDER, "--no-create-home", "--shell", "/usr/sbin/nologin"];
    await execa("useradd", [...home, USER]);
  }
  for (const file of ["/etc/subuid", "/etc/subgid"]) {
    const lines = await readFile(file, "utf8").catch(() => "");
    if (!lines.includes(`${USER}:`))
      throw new Error(`useradd gave ${USER} no numbers of other users in ${file}.`);
  }
  // As udev makes it on a machine that has udev.
  await chmod("/dev/net/tun", 0o666);
  const number = async (option: string) => Number((await execa("id", [option, USER])).stdout);
  return { uid: await number("-u"), gid: await number("-g") };
}

async function ownFolder(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
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
