import { connect } from "node:net";
import { join, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";

interface Process {
  pid: number;
  parent: number;
  command: string;
}

/** A plugin that nobody will ever ask again. */
export interface OrphanedPlugin {
  pid: number;
  /** `command 1.2.1`. */
  name: string;
}

const END_WITHIN_MS = 5_000;
const ANSWER_MS = 2_000;

/**
 * The plugins that a pulumi killed with -9 left running: some never notice. A plugin counts only when its program lies under
 * this PULUMI_HOME, when its parent is no pulumi any more, and when nothing listens at the engine's address that it was
 * started with. Every plugin in use has its engine there, so none that another update uses is ever among them; one that
 * somebody started by hand has no such address.
 */
export async function orphanedPlugins(pulumiHome: string): Promise<OrphanedPlugin[]> {
  const processes = await listProcesses();
  const commands = new Map(processes.map(({ pid, command }) => [pid, command]));
  const orphans: OrphanedPlugin[] = [];
  for (const { pid, parent, command } of processes) {
    const started = startedAs(pulumiHome, command);
    if (!started || isPulumi(commands.get(parent) ?? "")) continue;
    if (!(await answers(started.host, started.port))) orphans.push({ pid, name: started.name });
  }
  return orphans;
}

/** Ends them; those that do not heed that are killed. Nothing that Pulumi does is still asked of them. */
export async function endPlugins(orphans: readonly OrphanedPlugin[]): Promise<void> {
  let left = orphans.map(({ pid }) => pid);
  for (const pid of left) send(pid, "SIGTERM");
  const giveUpAt = Date.now() + END_WITHIN_MS;
  while (left.length > 0 && Date.now() < giveUpAt) {
    await sleep(100);
    left = await running(left);
  }
  for (const pid of left) send(pid, "SIGKILL");
}

/**
 * `…/plugins/resource-NAME-vVERSION/pulumi-resource-NAME HOST:PORT …`, by itself or behind the one word of the program whose
 * script it is. Others may have the same words further on in their command line.
 */
function startedAs(pulumiHome: string, command: string) {
  const folder = join(pulumiHome, "plugins", sep);
  const at = command.indexOf(folder);
  if (at < 0 || !/^(?:\S+ )?$/.test(command.slice(0, at))) return undefined;
  const [, name, version, host, port] =
    /^resource-(.+)-v([^/]+)\/pulumi-resource-\1(?:\.exe)? (127\.0\.0\.1|localhost):(\d+)(?: |$)/.exec(
      command.slice(at + folder.length),
    ) ?? [];
  return name && version && host ? { name: `${name} ${version}`, host, port: Number(port) } : undefined;
}

function isPulumi(command: string): boolean {
  return /^(?:\S*\/)?pulumi(?: |$)/.test(command);
}

async function listProcesses(): Promise<Process[]> {
  const { stdout = "" } = await execa("ps", ["-eww", "-o", "pid=,ppid=,args="], { reject: false });
  return stdout.split("\n").flatMap(line => {
    const [, pid, parent, command = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid && parent ? [{ pid: Number(pid), parent: Number(parent), command }] : [];
  });
}

/** One that ended may still be listed, as a zombie. */
async function running(pids: readonly number[]): Promise<number[]> {
  const { stdout = "" } = await execa("ps", ["-o", "pid=,stat=", "-p", pids.join(",")], { reject: false });
  const lines = stdout.split("\n").map(line => line.trim().split(/\s+/));
  return lines.flatMap(([pid, stat]) => (pid && stat && !stat.startsWith("Z") ? [Number(pid)] : []));
}

/** Unknown counts as yes: only a refused connection says that nobody is there. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: ANSWER_MS });
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.on("connect", () => end(true));
    socket.on("timeout", () => end(true));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code !== "ECONNREFUSED"));
  });
}

/** One that is gone by now needs none, and another user's is left alone. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
