// Everything is said on standard error: standard output belongs to the command that was asked for.

import { failureText } from "../../shared/marked-lines.ts";

/** A failure whose message is all an operator needs: what happened, why, and what to type next. */
export class ToolchainError extends Error {}

export function say(line: string): void {
  process.stderr.write(`[i] ${line}\n`);
}

export function sayDone(line: string): void {
  process.stderr.write(`[✓] ${line}\n`);
}

export function sayWarning(line: string): void {
  process.stderr.write(`[!] ${line}\n`);
}

/** Runs one long step: says that it starts, that it is still going every 30 seconds, and how many seconds it took. */
export async function step<T>(what: string, run: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  say(`${what}...`);
  const reminder = setInterval(() => say(`${what}: still at it (${seconds()} s)`), 30_000);
  try {
    const result = await run();
    sayDone(`${what} (${seconds()} s)`);
    return result;
  } finally {
    clearInterval(reminder);
  }
}

/** Runs a command's main function: its number is the exit code, and a failure is one clear message, never a stack trace. */
export async function runMain(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const message = error instanceof ToolchainError ? error.message : unexpected(error);
    process.stderr.write(failureText(message));
    process.exitCode = 1;
  }
}

function unexpected(error: unknown): string {
  if (process.env.BUDGIE_DEBUG && error instanceof Error) return error.stack ?? error.message;
  const message = error instanceof Error ? error.message : String(error);
  return `${message}\n    (unexpected; BUDGIE_DEBUG=1 shows where it happened)`;
}
