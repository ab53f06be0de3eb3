import { basename } from "node:path";
import type pg from "pg";
import { endSessionsOf } from "./end-sessions.ts";
import { NOBODY } from "./nobody.ts";
import { endAll, type ProcessEntry, readProcesses } from "./processes.ts";

/** The name that tells the agent's dumps from others in the server's list of sessions. */
export const DUMP_SESSION = "budgie dump";

const PROGRAMS = ["psql", "pg_dump", "pg_dumpall", "pg_restore"];
/** The agent's own program, which starts them. */
const AGENT = "agent.cjs";

/**
 * Ends what a killed agent has left at work: its programs in this container, and its dumps' sessions at the server, which may have
 * been started in a container that is gone. Only under the lock: whoever holds it knows that no other dump runs.
 */
export async function endOrphans(session: pg.Client): Promise<void> {
  if ((await orphansAtWork()).length > 0) await endAll(orphans, "SIGKILL");
  await endSessionsOf(session, DUMP_SESSION);
}

/** The programs' names. */
export async function orphansAtWork(): Promise<string[]> {
  const processes = await readProcesses();
  const pids = new Set(orphans(processes));
  return processes.filter(({ pid }) => pids.has(pid)).map(({ command: [program = ""] }) => basename(program));
}

/**
 * Of the agent's clients those that descend from no agent any more. A program that somebody else has started in the container has
 * another user, and one whose chain of parents leads out of the container is nobody's orphan.
 */
export function orphans(processes: readonly ProcessEntry[]): number[] {
  const byPid = new Map(processes.map(process => [process.pid, process]));
  const isLeft = (process: ProcessEntry) => {
    for (let at = byPid.get(process.parent); at; at = byPid.get(at.parent)) {
      if (at.command.some(word => basename(word) === AGENT)) return false;
      if (at.pid === 1) return true;
    }
    return false;
  };
  return processes
    .filter(({ uid, command: [program = ""] }) => uid === NOBODY.uid && PROGRAMS.includes(basename(program)))
    .filter(isLeft)
    .map(({ pid }) => pid);
}
