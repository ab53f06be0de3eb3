import { type ChildProcess, spawn } from "node:child_process";
import { Readable, type Writable } from "node:stream";

/** How much of a program's error output is kept, from its beginning and its end: enough to say why, whatever it prints. */
const KEPT_FIRST = 2048;
const KEPT_LAST = 4096;

export interface Finished {
  /** null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  errors: string;
}

export interface StartedReader {
  process: ChildProcess;
  /** What it writes, if that goes through a pipe; else empty. */
  output: AsyncIterable<Buffer>;
  finished: Promise<Finished>;
}

export interface StartedWriter {
  process: ChildProcess;
  input: Writable;
  finished: Promise<Finished>;
}

/** Whose rights and which environment a program gets. */
export interface RunAs {
  uid: number;
  gid: number;
  env: NodeJS.ProcessEnv;
  /** Its working directory. It is entered before the rights change, so the new rights need not lead there. */
  cwd?: string;
}

/** Starts a program that writes, such as pg_dump, into a pipe or an open file. Stopped when `signal` aborts. */
export function startReader(
  program: string,
  args: readonly string[],
  into: "pipe" | number,
  signal?: AbortSignal,
  runAs?: RunAs,
): StartedReader {
  const process = spawn(program, args, {
    stdio: ["ignore", into, "pipe"],
    ...(signal ? { signal } : {}),
    ...runAs,
  });
  return { process, output: process.stdout ?? Readable.from([]), finished: finish(process) };
}

/** Starts a program that is fed through its standard input, such as psql. Stopped when `signal` aborts. */
export function startWriter(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
  runAs?: RunAs,
): StartedWriter {
  const process = spawn(program, args, {
    stdio: ["pipe", "ignore", "pipe"],
    ...(signal ? { signal } : {}),
    ...runAs,
  });
  return { process, input: process.stdin, finished: finish(process) };
}

/** A program that is fed through its standard input and answers on its output. */
export interface StartedFilter extends StartedWriter {
  output: Readable;
}

/** Starts a program such as pg_restore, or psql whose answers matter. Stopped when `signal` aborts. */
export function startFilter(
  program: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
  runAs: RunAs,
): StartedFilter {
  const process = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    ...(signal ? { signal } : {}),
    ...runAs,
  });
  return { process, input: process.stdin, output: process.stdout, finished: finish(process) };
}

/** `exit code 1: the last lines of its error output` */
export function describeEnd({ code, signal, errors }: Finished): string {
  const how = signal ? `signal ${signal}` : `exit code ${code}`;
  return errors ? `${how}: ${errors}` : how;
}

function shortened(errors: string): string {
  if (errors.length <= KEPT_FIRST + KEPT_LAST) return errors;
  return errors.slice(0, KEPT_FIRST) + errors.slice(-KEPT_LAST);
}

function finish(process: ChildProcess): Promise<Finished> {
  let errors = "";
  process.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors = shortened(errors + text);
  });
  return new Promise(resolve => {
    process.on("error", error => resolve({ code: null, signal: null, errors: error.message }));
    process.on("close", (code, signal) => resolve({ code, signal, errors: errors.trim() }));
  });
}
