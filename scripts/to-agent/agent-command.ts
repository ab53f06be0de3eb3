import { PassThrough, type Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { CopiesFrom } from "../../shared/copies-places.ts";
import { agentCommand } from "../../shared/names.ts";
import { containerOf, type Stack } from "../stack/stack-containers.ts";
import { runInterruptible } from "../terminal/run-interruptible.ts";
import { handOverReader, type ReaderCredentials, readerCredentials } from "./bucket-reader.ts";
import { handOverIdentity } from "./identity-file.ts";

export interface AgentCommand {
  args: readonly string[];
  /** Fed to the agent; nothing is when absent. */
  stdin?: Readable;
  /** Whether the command must read the bucket, or reads it when it can. The agent by itself may not. */
  readsBucket?: "always" | "when credentials are known";
  /** Whose bucket that is, where it is another stack's. */
  bucketOf?: string;
  /** A file on this machine with the private key that opens encrypted copies. */
  identityFile?: string | undefined;
  /** Is told what the command says, as it is shown. */
  heard?: (text: string) => void;
}

/** What was typed of the copies that a command reads. */
export interface ReadingCopies {
  /** The bucket when not said. */
  from?: CopiesFrom;
  /** The file with the private key that opens encrypted copies. */
  identity?: string;
}

/** What a command needs that reads copies: the agent itself may read those over ssh, and those in the bucket not. */
export function readingCopies({
  from,
  identity,
}: ReadingCopies): Pick<AgentCommand, "readsBucket" | "identityFile"> {
  return { ...(from === "ssh" ? {} : { readsBucket: "always" as const }), identityFile: identity };
}

/** Found once for all commands of this process, which ask one stack's bucket: asking Pulumi's state takes seconds. */
let reader: ReaderCredentials | undefined;

/** Runs a command of the backup agent as if it ran here: its output, its progress bar, Ctrl-C and exit code pass through. */
export async function runAgent(stack: Stack, asked: AgentCommand): Promise<number> {
  const { args, stdin, heard } = asked;
  const { container } = containerOf(stack, "backup-agent");
  const command = await commandLine(stack, asked);
  const stdout = heard ? tee(process.stdout, heard) : process.stdout;
  const stderr = heard ? tee(process.stderr, heard) : process.stderr;
  // A terminal would rewrite the bytes of a backup, and JSON is for machines.
  const terminal = Boolean(process.stdout.isTTY && process.stdin.isTTY && !stdin && !args.includes("--json"));
  if (!terminal) return runInterruptible(container, command, { stdout, stderr, ...(stdin ? { stdin } : {}) });
  return withRawTerminal(() =>
    runInterruptible(container, command, { terminal, stdin: process.stdin, stdout, stderr }),
  );
}

/** Runs a command of the agent and keeps its standard output, for its JSON. */
export async function askAgent(stack: Stack, asked: AgentCommand): Promise<{ code: number; stdout: string }> {
  const { stdin } = asked;
  const { container } = containerOf(stack, "backup-agent");
  const out = new PassThrough();
  const collected = text(out);
  const code = await runInterruptible(container, await commandLine(stack, asked), {
    stdout: out,
    stderr: process.stderr,
    ...(stdin ? { stdin } : {}),
  });
  out.end();
  return { code, stdout: await collected };
}

function tee(shown: Writable, heard: (text: string) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, next) {
      heard(chunk.toString());
      shown.write(chunk, next);
    },
  });
}

async function commandLine(
  stack: Stack,
  { args, readsBucket, bucketOf = stack.name, identityFile }: AgentCommand,
): Promise<string[]> {
  const identity = identityFile ? ["--identity", await handOverIdentity(stack, identityFile)] : [];
  const command = agentCommand(...args, ...identity);
  if (!readsBucket) return command;
  reader ??= await readerCredentials(bucketOf, process.env).catch(error => {
    if (readsBucket === "always") throw error;
    return undefined;
  });
  return reader ? [...command, "--reader", await handOverReader(stack, reader)] : command;
}

/** Keys go to the command unchanged, Ctrl-C included; the terminal is put back however the command ends. */
export async function withRawTerminal<T>(work: () => Promise<T>): Promise<T> {
  process.stdin.setRawMode(true);
  try {
    return await work();
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
