import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { aptInstall } from "./apt-install.ts";
import { freePort } from "./free-port.ts";
import { addressForContainers, localServer, serverFolder } from "./local-server.ts";

const SSHD = "/usr/sbin/sshd";
const NO_SERVICES = "/usr/sbin/policy-rc.d";

export interface TestSshd {
  host: string;
  /** Stays the same when it is stopped and started again. */
  port: number;
  user: string;
  /** A folder on the server, empty at first. */
  folder: string;
  /** A private key that is accepted, one of the same kind that is not, and one with a passphrase. */
  userKey: string;
  otherUserKey: string;
  lockedKey: string;
  /** The server's two public keys, and one that is not the server's. */
  hostKey: string;
  rsaHostKey: string;
  otherHostKey: string;
  /** Kills every login's process with -9; new logins are served. */
  cutLogins(): Promise<void>;
  /** What its log says so far. */
  log(): Promise<string>;
  start(): Promise<void>;
  /** Stops serving and ends every login. Its folder stays. */
  kill(): Promise<void>;
  /** Ends it and removes everything. */
  stop(): Promise<void>;
}

/**
 * Runs a real OpenSSH server on the address at which containers reach this machine, with keys and a configuration of its own,
 * for the user who runs the tests.
 * @param options.shell whether a login may run commands; otherwise it gets SFTP whatever it asks for
 * @param options.address another one of this machine's
 * @param options.sftpArguments for the SFTP server, such as `-R` (nothing may be written)
 */
export async function startSshd(options: {
  shell: boolean;
  sftpArguments?: string;
  address?: string;
}): Promise<TestSshd> {
  await installSshd();
  const [host, port, home] = await Promise.all([
    options.address ?? addressForContainers(),
    freePort(),
    serverFolder("sshd"),
  ]);
  const { username: user } = userInfo();
  const folder = join(home, "copies");
  const keys = ["host", "other-host", "user", "other-user"];
  await Promise.all([
    mkdir(folder),
    ...keys.map(name => makeKey(join(home, name))),
    makeKey(join(home, "locked"), { passphrase: "a passphrase" }),
    makeKey(join(home, "rsa-host"), { type: "rsa" }),
  ]);
  const read = (name: string) => readFile(join(home, name), "utf8");
  await writeFile(join(home, "authorized_keys"), await read("user.pub"));
  const sftp = `internal-sftp ${options.sftpArguments ?? ""}`.trim();
  const config = [
    `ListenAddress ${host}:${port}`,
    `HostKey ${join(home, "host")}`,
    `HostKey ${join(home, "rsa-host")}`,
    `PidFile ${join(home, "pid")}`,
    `AuthorizedKeysFile ${join(home, "authorized_keys")}`,
    "StrictModes no",
    "UsePAM no",
    "AuthenticationMethods publickey",
    "PermitRootLogin prohibit-password",
    // As docs/guide.md has it for a machine with an engine.
    "MaxSessions 64",
    // Renews keys often, so that every test with a large file meets a renewal.
    "RekeyLimit 64M",
    `Subsystem sftp ${sftp}`,
    // A login finds the engine that the tests use.
    ...(process.env.DOCKER_HOST ? [`SetEnv DOCKER_HOST=${process.env.DOCKER_HOST}`] : []),
    ...(options.shell ? [] : [`ForceCommand ${sftp}`]),
  ];
  await writeFile(join(home, "config"), `${config.join("\n")}\n`);
  const server = localServer({
    name: "sshd",
    folder: home,
    file: SSHD,
    args: ["-D", "-e", "-f", join(home, "config")],
    ready: () => greets(host, port),
  });
  const cutLogins = async () => {
    const listener = Number(await read("pid").catch(() => "0"));
    if (await isRunWith(listener, join(home, "config"))) await killDescendants(listener);
  };
  await server.start();
  return {
    host,
    port,
    user,
    folder,
    userKey: await read("user"),
    otherUserKey: await read("other-user"),
    lockedKey: await read("locked"),
    hostKey: (await read("host.pub")).trim(),
    rsaHostKey: (await read("rsa-host.pub")).trim(),
    otherHostKey: (await read("other-host.pub")).trim(),
    cutLogins,
    log: () => read("server.log"),
    start: server.start,
    kill: async () => {
      await cutLogins();
      await server.kill();
    },
    stop: async () => {
      await cutLogins();
      await server.stop();
    },
  };
}

/** On Debian, as root, installs the server without letting the package start one of its own on port 22. */
async function installSshd(): Promise<void> {
  if (!existsSync(SSHD)) {
    const addPolicy = !existsSync(NO_SERVICES);
    if (addPolicy) await writeFile(NO_SERVICES, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    try {
      await aptInstall("openssh-server", ["openssh-server"]);
    } finally {
      if (addPolicy) await rm(NO_SERVICES);
    }
  }
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
}

async function makeKey(path: string, options: { type?: string; passphrase?: string } = {}): Promise<void> {
  const { type = "ed25519", passphrase = "" } = options;
  await execa("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "budgie-test", "-f", path]);
}

function greets(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, host);
    const end = (good: boolean) => {
      socket.destroy();
      resolve(good);
    };
    socket.on("data", text => end(text.toString().startsWith("SSH-2.0")));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
  });
}

/** The process number may have been reused by now. */
async function isRunWith(pid: number, argument: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return commandLine.includes(argument);
}

async function killDescendants(pid: number): Promise<void> {
  const children = new Map<number, number[]>();
  for (const name of (await readdir("/proc")).filter(entry => /^\d+$/.test(entry))) {
    const stat = await readFile(join("/proc", name, "stat"), "utf8").catch(() => "");
    const parent = Number(/\) \S (\d+) /.exec(stat)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (of: number): number[] => (children.get(of) ?? []).flatMap(child => [...below(child), child]);
  for (const child of below(pid)) {
    try {
      process.kill(child, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}
