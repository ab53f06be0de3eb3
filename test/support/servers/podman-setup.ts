import { chmod, readFile, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { installed, isDebian } from "../../../toolchain/machine/container-engine.ts";
import { aptInstall } from "./apt-install.ts";

/** A user's and a group's numbers. */
export interface Operator {
  uid: number;
  gid: number;
}

const USER = "budgie-test-podman";

const PACKAGES = [
  ...["podman", "netavark", "aardvark-dns", "runc", "catatonit", "iptables"],
  // For an ordinary user's.
  ...["uidmap", "slirp4netns"],
];

/** As docs/podman.md advises for netavark before 1.9, where names fail to resolve now and then. */
const NETWORK_SETTINGS = ["all", "default"].map(which => `/proc/sys/net/ipv4/conf/${which}/arp_notify`);

/**
 * Installs Podman and sets up its network as docs/podman.md says. Throws where that is impossible: a test that needs Podman
 * must not pass then.
 */
export async function requirePodman(): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      "This test runs Podman as root and as an ordinary user that it makes, which takes root. It did not run. Run it as root.",
    );
  }
  for (const setting of NETWORK_SETTINGS) await writeFile(setting, "1");
  if (!(await isDebian())) {
    if (await installed("podman")) return;
    throw new Error(
      "This test installs Podman on Debian and Ubuntu alone, and there is none here. It did not run.",
    );
  }
  await aptInstall("podman", PACKAGES);
}

/** Makes the ordinary user, with subordinate user numbers for containers, and the device that their network needs. */
export async function ensureOperator(home: string): Promise<Operator> {
  const known = await execa("id", [USER], { reject: false });
  if (known.exitCode !== 0) {
    await execa("useradd", ["--home-dir", home, "--no-create-home", "--shell", "/usr/sbin/nologin", USER]);
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
