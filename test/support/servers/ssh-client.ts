import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { SSH_OPTIONS } from "../../../engine/ssh-connections.ts";
import { serverFolder } from "./local-server.ts";
import type { TestSshd } from "./sshd.ts";

export interface TestSshClient {
  /** A program that runs `ssh` with this PATH has the key of `sshd`, and the known hosts of this client alone. */
  pathBefore(path: string | undefined): string;
  /** Takes this for the server's host key, as in `ssh-ed25519 AAAA…`. */
  trust(hostKey: string): Promise<void>;
  /** Knows no host any more. */
  forget(): Promise<void>;
  stop(): Promise<void>;
}

/** An operator's `ssh`, with a configuration of its own: it knows no host yet. */
export async function sshClient(sshd: TestSshd): Promise<TestSshClient> {
  const folder = await serverFolder("ssh-client");
  await mkdir(join(folder, "bin"));
  await writeFile(join(folder, "key"), sshd.userKey, { mode: 0o600 });
  const knownHosts = join(folder, "known_hosts");
  await writeFile(
    join(folder, "config"),
    [
      `IdentityFile ${join(folder, "key")}`,
      "IdentitiesOnly yes",
      `UserKnownHostsFile ${knownHosts}`,
      "",
    ].join("\n"),
  );
  await writeFile(
    join(folder, "bin", "ssh"),
    `#!/bin/sh\nexec /usr/bin/ssh -F ${join(folder, "config")} "$@"\n`,
    { mode: 0o755 },
  );
  const know = async (line: string) => {
    await writeFile(knownHosts, line);
    // A login that is there already asks for no key.
    const login = ["-l", sshd.user, "-p", String(sshd.port), "--", sshd.host];
    await execa(join(folder, "bin", "ssh"), [...SSH_OPTIONS, "-O", "exit", ...login], { reject: false });
  };
  return {
    pathBefore: path => `${join(folder, "bin")}:${path}`,
    trust: key => know(`[${sshd.host}]:${sshd.port} ${key.split(" ").slice(0, 2).join(" ")}\n`),
    forget: () => know(""),
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}
