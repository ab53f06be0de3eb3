import { type ForwardedCommand, flagsGiven } from "../shared/forwarded-flags.ts";
import { runAgent } from "./agent-command.ts";
import type { Stack } from "./stack-containers.ts";

/** What was typed behind a command. */
interface Typed {
  /** Of the bucket instead of the backup directory. */
  remote?: boolean;
  from?: "s3";
  /** The file with the private key that opens encrypted copies. */
  identity?: string;
}

/** Has the agent carry out a command as it was typed, and returns its exit code. */
export function forward(
  stack: Stack,
  command: ForwardedCommand,
  backup: string | undefined,
  typed: Typed,
): Promise<number> {
  const args = [command, ...(backup ? [backup] : []), ...flagsGiven(command, typed)];
  // With credentials that may read, what is missing is seen in the bucket itself; without, in the manifests.
  if (command === "push") return runAgent(stack, { args, readsBucket: "when credentials are known" });
  const readsBucket = command === "pull" || typed.remote || typed.from;
  return runAgent(
    stack,
    readsBucket ? { args, readsBucket: "always", identityFile: typed.identity } : { args },
  );
}
