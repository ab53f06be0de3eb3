import { randomUUID } from "node:crypto";
import type Docker from "dockerode";
import {
  ConnectionLost,
  collectFromContainer,
  type RunOptions,
  runInContainer,
} from "../../engine/run-in-container.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { END_SIGNALS, OPERATION_VARIABLE } from "../../shared/interruption.ts";
import { agentCommand } from "../../shared/names.ts";

/** What a shell says of a program that was killed, most often for its memory. */
const KILLED = 137;
const KILLED_LINES = [
  "[✗] The command was killed inside the container, as it is when its memory runs out.",
  "[i] Run it again: that clears away what is half done. If it is killed again, allow more memory:",
  "    npm run pulumi -- config set budgie:databaseMemoryMegabytes 2048 && npm run up",
];
const WATCH = "Watch it with `npx budgie status`.";

/**
 * Runs a command of the agent, and has it end when this process is told to end: it clears away what is half done, and this waits for
 * that. At a second signal this process goes, and says that the command may go on. Throws a Stop when the engine does not say how
 * the command ended.
 */
export async function runInterruptible(
  container: Docker.Container,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  const operation = randomUUID();
  const say = (line: string) => options.stderr.write(`${line}\n`);
  let told = false;
  let ended = false;
  const end = (signal: NodeJS.Signals) => {
    if (told) {
      say(`[!] Not waited for: the command may go on inside the container. ${WATCH}`);
      process.exit(EXIT.interrupted);
    }
    told = true;
    say(`[i] ${signal}: ending the command inside the container...`);
    void tellToEnd(container, operation).then(heard => {
      if (!heard && !ended)
        say(`[!] The command did not hear it, and goes on inside the container. ${WATCH}`);
    });
  };
  for (const signal of END_SIGNALS) process.on(signal, end);
  try {
    const environment = { ...options.environment, [OPERATION_VARIABLE]: operation };
    const code = await runInContainer(container, command, { ...options, environment });
    if (code === KILLED) for (const line of KILLED_LINES) say(line);
    return code;
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `The connection to the container engine was lost before the command ended (${error.message}). If the backup agent still runs, the command goes on there.`,
      WATCH,
    );
  } finally {
    ended = true;
    for (const signal of END_SIGNALS) process.off(signal, end);
  }
}

async function tellToEnd(container: Docker.Container, operation: string): Promise<boolean> {
  const told = await collectFromContainer(container, agentCommand("interrupt", operation)).catch(() => null);
  return told?.code === EXIT.done;
}
