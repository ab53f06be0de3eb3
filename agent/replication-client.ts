import { randomBytes } from "node:crypto";
import { chmod, chown, copyFile, rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describeEnd, type RunAs, startReader } from "./child-process.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { readProcesses } from "./server-processes.ts";
import type { AgentSettings } from "./settings.ts";

const PROGRAMS = ["pg_receivewal", "pg_basebackup"] as const;
type Program = (typeof PROGRAMS)[number];

/** In memory, never on a disk. */
const PASSFILES = "/dev/shm/budgie-replication";
const END_WITHIN_MS = 10_000;

/**
 * Runs one of PostgreSQL's replication clients as the backup directory's owner, so that its files are the operator's from their
 * first byte. That one may not read the agent's passfile, and gets one of its own while the program runs. Throws a Stop unless it
 * ends with 0.
 */
export async function runReplicationClient(
  settings: AgentSettings,
  program: Program,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { uid, gid } = await stat(settings.backupDir);
  const passfile = `${PASSFILES}-${randomBytes(8).toString("hex")}`;
  try {
    const env = await environmentFor(settings, passfile, { uid, gid });
    const { finished } = startReader(program, [...args, "--no-password"], "pipe", signal, { uid, gid, env });
    const end = await finished;
    signal.throwIfAborted();
    if (end.code !== 0)
      throw new Stop(
        EXIT.databaseUnreachable,
        `${program} ended with ${describeEnd(end).replace(/\s+/g, " ")}.`,
        "See `npx budgie status` and `npx budgie logs db`.",
      );
  } finally {
    await rm(passfile, { force: true });
  }
}

/** A server's words are looked at for nothing, and read by people. */
async function environmentFor(
  { host, port, user }: AgentSettings,
  passfile: string,
  { uid, gid }: Pick<RunAs, "uid" | "gid">,
): Promise<NodeJS.ProcessEnv> {
  const env = { PATH: process.env.PATH, LC_ALL: "C", PGHOST: host, PGPORT: String(port), PGUSER: user };
  const own = process.env.PGPASSFILE;
  if (own === undefined) return env;
  await copyFile(own, passfile);
  await chmod(passfile, 0o400);
  await chown(passfile, uid, gid);
  return { ...env, PGPASSFILE: passfile };
}

/** Ends what an agent that was killed has left running inside `folder`: two that write there would write into the same files. */
export async function endReplicationClientsIn(folder: string): Promise<void> {
  const giveUpAt = Date.now() + END_WITHIN_MS;
  for (;;) {
    const found = (await readProcesses()).filter(
      ({ command: [program = "", ...args] }) =>
        (PROGRAMS as readonly string[]).includes(basename(program)) &&
        args.some(arg => arg.replace(/^--\w+=/, "").startsWith(`${folder}/`)),
    );
    if (found.length === 0) return;
    if (Date.now() > giveUpAt) throw new Error(`what a killed agent left running in ${folder} does not end`);
    for (const { pid } of found) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    await delay(20);
  }
}
