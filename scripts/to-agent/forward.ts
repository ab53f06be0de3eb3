import { type ForwardedCommand, flagsGiven } from "../../shared/forwarded-flags.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { type ReadingCopies, readingCopies, runAgent } from "./agent-command.ts";

/** What was typed behind a command. */
interface Typed extends ReadingCopies {
  /** Of the bucket instead of the backup directory. */
  remote?: boolean;
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
  const readsCopies = command === "pull" || typed.remote || typed.from;
  return runAgent(stack, readsCopies ? { args, ...readingCopies(typed) } : { args });
}
