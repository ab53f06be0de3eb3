import { PassThrough } from "node:stream";
import { z } from "zod";
import { runInContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { agentCommand } from "../../shared/names.ts";
import { containerOf, type Stack } from "../stack/stack-containers.ts";
import { isTerminal } from "../terminal/ask.ts";
import { runInterruptible } from "../terminal/run-interruptible.ts";
import { withRawTerminal } from "./agent-command.ts";

/** What the agent's `open` says; see agent/drill/open-backup.ts. */
const where = z.object({ host: z.string(), user: z.string(), database: z.string() });

/**
 * Has the agent open a backup in a throw-away server, and runs psql on it until it is left. The agent keeps the server for as long as it
 * has this process's standard input: when this process is gone, the server goes. Returns psql's exit code, or the agent's where it
 * could not open the backup.
 */
export async function psqlAt(stack: Stack, backup: string, args: readonly string[]): Promise<number> {
  const { container } = containerOf(stack, "backup-agent");
  const [held, answer] = [new PassThrough(), new PassThrough()];
  const ended = runInterruptible(container, agentCommand("open", "--", backup), {
    stdin: held,
    stdout: answer,
    stderr: process.stderr,
  });
  const opened = firstLine(answer);
  const first = await Promise.race([opened, ended]);
  if (typeof first === "number") return first === EXIT.done ? EXIT.failed : first;
  const { host, user, database } = where.parse(JSON.parse(first));
  const terminal = isTerminal();
  if (terminal) process.stdout.write(`[i] This is ${backup}, read-only, until you leave it (\\q)\n`);
  const run = () =>
    runInContainer(container, ["psql", ...args], {
      terminal,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      environment: {
        PGHOST: host,
        PGPORT: "5432",
        PGUSER: user,
        PGDATABASE: database,
        PGOPTIONS: "-c default_transaction_read_only=on",
        PSQL_HISTORY: "/dev/null",
      },
    });
  try {
    return await (terminal ? withRawTerminal(run) : run());
  } finally {
    held.end();
    process.stdin.destroy();
    await ended;
  }
}

function firstLine(answer: PassThrough): Promise<string> {
  return new Promise(resolve => {
    let text = "";
    answer.on("data", chunk => {
      text += String(chunk);
      if (text.includes("\n")) resolve(text);
    });
  });
}
