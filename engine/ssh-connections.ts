import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { Agent } from "node:http";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";

/**
 * For every `ssh` that the stack runs, its provider's included. All share one login, which stays for a minute: a server lets in no
 * more than ten at once that have not proven yet who they are (sshd's MaxStartups), and drops others at random. Nobody is there to
 * answer a question. A machine that does not answer is given up after ten seconds.
 */
export const SSH_OPTIONS = [
  ...["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"],
  ...["-o", "ControlMaster=auto", "-o", "ControlPath=~/.ssh/budgie-%C", "-o", "ControlPersist=60"],
];
/** As many at once before there is that login. */
const AT_ONCE = 4;
const KEPT_OF_STDERR = 2000;

/**
 * Connections to the engine of another machine, one after the other over the same login where that does. They go through the
 * operator's own `ssh`, as those of the Docker CLI and of the Docker provider do: so it is the keys, the agent, the jumps and the
 * known hosts of `~/.ssh/config` that count, and a host key that is not known is refused. `host` is `ssh://user@host:port`, with the
 * path of the engine's socket there where that is not the usual one.
 */
export function connectionsOverSsh(host: string): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const args = sshArguments(host);
  // Where the shared login is kept. ssh goes by the user's entry, and not by HOME.
  mkdirSync(join(userInfo().homedir, ".ssh"), { recursive: true, mode: 0o700 });
  agent.createConnection = () => connect(args);
  return agent;
}

/** What `ssh` is called with. Throws for an address that it could take for an option. */
export function sshArguments(host: string): string[] {
  const { hostname, port, username, pathname } = new URL(host);
  if (!hostname || hostname.startsWith("-") || username.startsWith("-"))
    throw new Error(`${host} is no machine's address`);
  const socket = pathname.length > 1 ? ["--host", `unix://${pathname}`] : [];
  return [
    "-T",
    ...SSH_OPTIONS,
    ...(username ? ["-l", decodeURIComponent(username)] : []),
    ...(port ? ["-p", port] : []),
    ...["--", hostname, "docker", ...socket, "system", "dial-stdio"],
  ];
}

function connect(args: readonly string[]): Duplex {
  const child = spawn("ssh", args, { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = `${said}${text}`.slice(-KEPT_OF_STDERR);
  });
  const connection = new Duplex({
    read: () => void child.stdout.resume(),
    // Why nothing can be written any more comes with its end.
    write: (chunk, _encoding, next) => void child.stdin.write(chunk, () => next()),
    final: next => void child.stdin.end(() => next()),
    destroy: (error, next) => {
      child.kill();
      next(error);
    },
  });
  child.stdout.on("data", chunk => {
    if (!connection.push(chunk)) child.stdout.pause();
  });
  child.stdin.on("error", () => undefined);
  child.on("error", error => connection.destroy(new Error(`ssh cannot be run: ${error.message}`)));
  child.on("close", code => {
    if (code === 0) connection.push(null);
    else connection.destroy(new Error(lastLine(said) || `ssh ended with ${code}`));
  });
  return withReferences(connection, child);
}

/** A connection that is kept for the next request must not keep this process. Node asks its sockets so. */
function withReferences(connection: Duplex, child: ReturnType<typeof spawn>): Duplex {
  const all = [child, child.stdin, child.stdout, child.stderr] as { ref?(): void; unref?(): void }[];
  return Object.assign(connection, {
    ref: () => {
      for (const one of all) one.ref?.();
    },
    unref: () => {
      for (const one of all) one.unref?.();
    },
    setKeepAlive: () => connection,
    setNoDelay: () => connection,
    setTimeout: () => connection,
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
