import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, startReader } from "../base/child-process.ts";
import { withPassfile } from "./passfile.ts";
import { endAll } from "./processes.ts";

const PROGRAMS = ["pg_receivewal", "pg_basebackup"] as const;
type Program = (typeof PROGRAMS)[number];

/**
 * Runs one of PostgreSQL's replication clients as the backup directory's owner, so that its files are the operator's from their
 * first byte. The owner may not read the agent's passfile, and gets one of its own while the program runs. Throws a Stop unless the
 * program ends with 0.
 */
export async function runReplicationClient(
  settings: AgentSettings,
  program: Program,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { uid, gid } = await stat(settings.backupDir);
  await withPassfile({ uid, gid }, null, async passfile => {
    const env = { ...environmentFor(settings), PGPASSFILE: passfile };
    const { finished } = startReader(program, [...args, "--no-password"], "pipe", signal, { uid, gid, env });
    const end = await finished;
    signal.throwIfAborted();
    if (end.code !== 0)
      throw new Stop(
        EXIT.databaseUnreachable,
        `${program} ended with ${describeEnd(end).replace(/\s+/g, " ")}.`,
        "See `npx budgie status` and `npx budgie logs db`.",
      );
  });
}

/** People read what the program says; the agent does not look at it. */
function environmentFor({ host, port, user }: AgentSettings): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: "C", PGHOST: host, PGPORT: String(port), PGUSER: user };
}

/** Ends what a killed agent has left running inside `folder`: two programs would write into the same files there. */
export async function endReplicationClientsIn(folder: string): Promise<void> {
  const ended = await endAll(
    processes => processes.filter(({ command }) => worksIn(folder, command)).map(({ pid }) => pid),
    "SIGKILL",
  );
  if (!ended) throw new Error(`what a killed agent left running in ${folder} does not end`);
}

function worksIn(folder: string, [program = "", ...args]: readonly string[]): boolean {
  return (
    (PROGRAMS as readonly string[]).includes(basename(program)) &&
    args.some(arg => arg.replace(/^--\w+=/, "").startsWith(`${folder}/`))
  );
}
