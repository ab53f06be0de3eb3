import { readdir, readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { answerWithin } from "../base/until.ts";

/** How long what was told to end may take. */
const PATIENCE_MS = 10_000;
const LOOK_AGAIN_MS = 20;
const PROGRAMS = ["postgres", "initdb"];

export interface ProcessEntry {
  pid: number;
  parent: number;
  uid: number;
  command: string[];
}

/**
 * Ends every PostgreSQL server of user `uid` whose command line names `directory`, with all that it has started. That includes a
 * server whose agent was killed, and an initdb, which has no postmaster.pid yet. A process number alone proves nothing (it may be
 * another process's by now), so none is trusted. Throws a Stop when one does not end.
 */
export async function endServersIn(directory: string, uid: number): Promise<void> {
  // First comes PostgreSQL's immediate shutdown, which also gives back its shared memory.
  for (const signal of ["SIGQUIT", "SIGKILL"] as const)
    if (await endAll(processes => serversIn(directory, uid, processes), signal)) return;
  throw new Stop(
    EXIT.failed,
    `The throw-away server in ${directory} does not end.`,
    "Restart the backup agent with `npx budgie restart backup`, then run the same command again.",
  );
}

/**
 * Sends `signal` to all that `find` finds, until it finds nothing any more. Returns whether that came to pass within ten
 * seconds.
 */
export async function endAll(
  find: (processes: readonly ProcessEntry[]) => number[],
  signal: NodeJS.Signals,
): Promise<boolean> {
  const look = async () => {
    const pids = find(await readProcesses());
    for (const pid of pids) sendSignal(pid, signal);
    return pids.length === 0 ? true : null;
  };
  return (await answerWithin(PATIENCE_MS, look, LOOK_AGAIN_MS)) !== null;
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

/** Every process of the container that has not ended. */
export async function readProcesses(): Promise<ProcessEntry[]> {
  const pids = (await readdir("/proc")).map(Number).filter(Number.isInteger);
  const entries = await Promise.all(pids.map(pid => readProcess(pid).catch(() => null)));
  return entries.filter(entry => entry !== null);
}

/** Null for a process that has ended and waits for its parent to notice. Throws for one that is gone. */
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

/** One that has ended meanwhile is what was asked for. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
