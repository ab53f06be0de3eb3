import { CommanderError } from "commander";
import { EXIT, Stop } from "./exit-codes.ts";
import { failureText } from "./marked-lines.ts";

/**
 * Runs a command line and makes its outcome the process's exit code. Until the outcome is known it is a failure: a process
 * that ends because nothing is left to wait for has not done what it was asked.
 */
export async function runCommandLine(work: () => Promise<number>): Promise<void> {
  endQuietlyWithoutReader();
  process.exitCode = EXIT.failed;
  try {
    process.exitCode = await work();
  } catch (error) {
    process.exitCode = explain(error);
  }
}

/** `npx budgie list | head -1`: who reads has enough. The work goes on, and its outcome is still the exit code. */
function endQuietlyWithoutReader(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
}

/** Prints an error as one line of what and why and one of what to type next, never a stack trace; returns the exit code. */
function explain(error: unknown): number {
  // The argument parser has printed its own line already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof Stop) {
    process.stderr.write(failureText(error.message, error.next));
    return error.code;
  }
  const what = `Unexpected: ${error instanceof Error ? error.message : String(error)}`;
  process.stderr.write(failureText(what, "`npx budgie status` shows how things stand."));
  return EXIT.failed;
}
