import { type ChildProcess, spawn } from "node:child_process";
import { Readable, type Writable } from "node:stream";

/** The last of a program's error output: enough to say why, bounded whatever it prints. */
const KEPT_ERROR_BYTES = 4096;

export interface Finished {
  /** null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  errors: string;
}

export interface StartedReader {
  process: ChildProcess;
  /** What it writes, when that goes through a pipe; empty otherwise. */
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

/** Starts a program that is fed through its standard input and answers on its output, such as pg_restore. */
export function startFilter(program: string, args: readonly string[]): StartedReader & StartedWriter {
  const process = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  return { process, input: process.stdin, output: process.stdout, finished: finish(process) };
}

/** Starts a program that reads `from`, an open file, or nothing. Stopped when `signal` aborts. */
export function startSilent(
  program: string,
  args: readonly string[],
  from: number | "ignore",
  signal?: AbortSignal,
  runAs?: RunAs,
): Promise<Finished> {
  const process = spawn(program, args, {
    stdio: [from, "ignore", "pipe"],
    ...(signal ? { signal } : {}),
    ...runAs,
  });
  return finish(process);
}

/** `exit code 1: the last lines of its error output` */
export function describeEnd({ code, signal, errors }: Finished): string {
  const how = signal ? `signal ${signal}` : `exit code ${code}`;
  return errors ? `${how}: ${errors}` : how;
}

function finish(process: ChildProcess): Promise<Finished> {
  let errors = "";
  process.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-KEPT_ERROR_BYTES);
  });
  return new Promise(resolve => {
    process.on("error", error => resolve({ code: null, signal: null, errors: error.message }));
    process.on("close", (code, signal) => resolve({ code, signal, errors: errors.trim() }));
  });
}
