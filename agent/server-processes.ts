import { readdir, readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EXIT, Stop } from "./exit-codes.ts";

/** How long an immediate shutdown may take; then the same again after SIGKILL. */
const PATIENCE_MS = 10_000;
const PROGRAMS = ["postgres", "initdb"];

export interface ProcessEntry {
  pid: number;
  parent: number;
  uid: number;
  command: string[];
}

/**
 * Ends every PostgreSQL server of user `uid` whose command line names `directory`, with all it has started: also one whose
 * agent was killed, and an initdb, which has no postmaster.pid yet. A process number alone is no proof (it may be
 * another's by now), so none is trusted. Throws a Stop when one does not end.
 */
export async function endServersIn(directory: string, uid: number): Promise<void> {
  // First PostgreSQL's immediate shutdown, which also takes its shared memory back.
  for (const signal of ["SIGQUIT", "SIGKILL"] as const) {
    const giveUpAt = Date.now() + PATIENCE_MS;
    for (;;) {
      const pids = serversIn(directory, uid, await readProcesses());
      if (pids.length === 0) return;
      if (Date.now() > giveUpAt) break;
      for (const pid of pids) sendSignal(pid, signal);
      await delay(20);
    }
  }
  throw new Stop(
    EXIT.failed,
    `The throw-away server in ${directory} does not end.`,
    "Restart the backup agent with `npx budgie restart backup`, then run the same command again.",
  );
}

/** The servers in `directory`, and whatever descends from one. */
export function serversIn(directory: string, uid: number, processes: readonly ProcessEntry[]): number[] {
  const found = new Set(
    processes
      .filter(process => process.uid === uid && worksIn(directory, process.command))
      .map(({ pid }) => pid),
  );
  for (let before = -1; found.size !== before; ) {
    before = found.size;
    for (const { pid, parent } of processes) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

function worksIn(directory: string, [program = "", ...args]: readonly string[]): boolean {
  return (
    PROGRAMS.includes(basename(program)) &&
    args.some(arg => arg.replace(/^--pgdata=/, "").startsWith(`${directory}/`))
  );
}

export async function readProcesses(): Promise<ProcessEntry[]> {
  const pids = (await readdir("/proc")).map(Number).filter(Number.isInteger);
  const entries = await Promise.all(pids.map(pid => readProcess(pid).catch(() => null)));
  return entries.filter(entry => entry !== null);
}

/** null for one that has ended and only waits to be taken note of. Throws for one that is gone. */
async function readProcess(pid: number): Promise<ProcessEntry | null> {
  const [{ uid }, text, command] = await Promise.all([
    stat(`/proc/${pid}`),
    readFile(`/proc/${pid}/stat`, "utf8"),
    readFile(`/proc/${pid}/cmdline`, "utf8"),
  ]);
  // The name before it may hold spaces and parentheses.
  const [state, parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? null : { pid, parent: Number(parent), uid, command: command.split("\0") };
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
