import { CommanderError } from "commander";
import { EXIT, Stop } from "./exit-codes.ts";

/**
 * Runs a command line and makes its outcome the process's exit code. Until the outcome is known it is a failure: a process
 * that ends because nothing is left to wait for has not done what it was asked.
 */
export async function runCommandLine(work: () => Promise<number>): Promise<void> {
  process.exitCode = EXIT.failed;
  try {
    process.exitCode = await work();
  } catch (error) {
    process.exitCode = explain(error);
  }
}

/** Prints an error as one line of what and why and one of what to type next, never a stack trace; returns the exit code. */
function explain(error: unknown): number {
  // The argument parser has printed its own line already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof Stop) {
    process.stderr.write(`[✗] ${error.message}\n`);
    if (error.next) process.stderr.write(`    ${error.next}\n`);
    return error.code;
  }
  process.stderr.write(`[✗] Unexpected: ${error instanceof Error ? error.message : String(error)}\n`);
  process.stderr.write("    `npx budgie status` shows how things stand.\n");
  return EXIT.failed;
}
