import { PassThrough, type Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { handOverReader, readerCredentials } from "./bucket-reader.ts";
import { handOverIdentity } from "./identity-file.ts";
import { runInContainer } from "./run-in-container.ts";
import { containerOf, type Stack } from "./stack-containers.ts";

export interface AgentCommand {
  args: readonly string[];
  /** Fed to the agent; nothing is when absent. */
  stdin?: Readable;
  /** Whether the command reads the bucket, which the agent by itself may not, or could make use of doing so. */
  readsBucket?: "always" | "when credentials are known";
  /** A file on this machine with the private key that opens encrypted copies. */
  identityFile?: string | undefined;
}

/** Runs a command of the backup agent as if it ran here: its output, its progress bar, Ctrl-C and exit code pass through. */
export async function runAgent(stack: Stack, agentCommand: AgentCommand): Promise<number> {
  const { args, stdin } = agentCommand;
  const { container } = containerOf(stack, "backup-agent");
  const command = await commandLine(stack, agentCommand);
  // A terminal would rewrite the bytes of a backup, and JSON is for machines.
  const terminal = Boolean(process.stdout.isTTY && process.stdin.isTTY && !stdin && !args.includes("--json"));
  if (!terminal) {
    return runInContainer(container, command, {
      stdout: process.stdout,
      stderr: process.stderr,
      ...(stdin ? { stdin } : {}),
    });
  }
  return withRawTerminal(() =>
    runInContainer(container, command, {
      terminal,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
    }),
  );
}

/** Runs a command of the agent and keeps its standard output, for its JSON. */
export async function askAgent(
  stack: Stack,
  agentCommand: AgentCommand,
): Promise<{ code: number; stdout: string }> {
  const { stdin } = agentCommand;
  const { container } = containerOf(stack, "backup-agent");
  const out = new PassThrough();
  const collected = text(out);
  const code = await runInContainer(container, await commandLine(stack, agentCommand), {
    stdout: out,
    stderr: process.stderr,
    ...(stdin ? { stdin } : {}),
  });
  out.end();
  return { code, stdout: await collected };
}

async function commandLine(
  stack: Stack,
  { args, readsBucket, identityFile }: AgentCommand,
): Promise<string[]> {
  const identity = identityFile ? ["--identity", await handOverIdentity(stack, identityFile)] : [];
  const command = ["budgie-agent", ...args, ...identity];
  if (!readsBucket) return command;
  const reader = await readerCredentials(stack.name, process.env).catch(error => {
    if (readsBucket === "always") throw error;
    return undefined;
  });
  return reader ? [...command, "--reader", await handOverReader(stack, reader)] : command;
}

/** Keys go to the command unchanged, Ctrl-C included; the terminal is put back however the command ends. */
export async function withRawTerminal<T>(work: () => Promise<T>): Promise<T> {
  process.stdin.setRawMode(true);
  process.stdin.resume();
  try {
    return await work();
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
