import { once } from "node:events";
import { type Duplex, PassThrough, Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import { attachedOutput } from "./attached-output.ts";

export interface RunOptions {
  /** A terminal inside the container, of the size of this one: for prompts, progress bars and psql. */
  terminal?: boolean;
  stdin?: Readable;
  stdout: Writable;
  stderr: Writable;
  /** Added to the container's own environment. Readable by `inspect` of the running command: never a secret. */
  environment?: Record<string, string>;
}

/** The engine's answer broke off, or it does not say how the command ended: it may go on. */
export class ConnectionLost extends Error {}

/** Runs a command inside a running container through the engine's API, and returns its exit code. */
export async function runInContainer(
  container: Docker.Container,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  const terminal = options.terminal ?? false;
  const exec = await container.exec({
    Cmd: [...command],
    AttachStdin: options.stdin !== undefined,
    AttachStdout: true,
    AttachStderr: true,
    Tty: terminal,
    Env: Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`),
  });
  const { stream, unwatch } = await startWatched(container, exec, {
    stdin: options.stdin !== undefined,
    Tty: terminal,
  });
  const ended = new Promise<void>((resolve, reject) => {
    stream.on("end", resolve);
    stream.on("close", resolve);
    stream.on("error", error => reject(new ConnectionLost(error.message)));
  });
  if (terminal) stream.pipe(options.stdout, { end: false });
  else container.modem.demuxStream(stream, options.stdout, options.stderr);
  let unread: Error | null = null;
  // The command is to see an end, and to find out that something is missing.
  const endUnread = (error: Error) => {
    unread = error;
    stream.end();
  };
  options.stdin?.on("error", endUnread);
  let release = () => {};
  try {
    if (terminal) release = await followTerminalSize(exec, ended);
    // A command that ends before it has read everything is not an error here: its exit code says what it was.
    stream.on("error", () => undefined);
    options.stdin?.pipe(stream);
    await ended;
  } finally {
    unwatch();
    release();
    options.stdin?.unpipe(stream);
    options.stdin?.off("error", endUnread);
  }
  const code = await exitCodeOf(exec);
  if (unread !== null) throw notRead(unread);
  return code;
}

const LOOK_AGAIN_MS = 5_000;

/**
 * Starts the command, and ends its answer when the container has ended. Podman 4.3 leaves an answer open for ever where a container that
 * ends again and again did so just as the command began.
 */
async function startWatched(
  container: Docker.Container,
  exec: Docker.Exec,
  options: { stdin: boolean; Tty?: boolean },
): Promise<{ stream: Duplex; unwatch: () => void }> {
  const done = new AbortController();
  const containerEnded = untilEnded(container, done.signal);
  try {
    const stream = await Promise.race([exec.start({ hijack: true, ...options }), containerEnded]);
    containerEnded.catch((error: Error) => {
      if (!done.signal.aborted) stream.destroy(error);
    });
    return { stream, unwatch: () => done.abort() };
  } catch (error) {
    done.abort();
    throw error;
  }
}

/** Rejects once the container does not run any more, or is another run of it than at the first look. A short command is over before that. */
async function untilEnded(container: Docker.Container, signal: AbortSignal): Promise<never> {
  for (let first: string | undefined; ; ) {
    await delay(LOOK_AGAIN_MS, undefined, { signal, ref: false });
    const state = await container.inspect().then(
      ({ State }) => State,
      () => undefined,
    );
    if (first !== undefined && state !== undefined && (!state.Running || state.StartedAt !== first))
      throw new ConnectionLost("the container ended while the command ran in it");
    first ??= state?.StartedAt;
  }
}

function notRead({ message }: Error): Stop {
  return new Stop(
    EXIT.failed,
    `What was to be handed over could not be read to its end: ${message}.`,
    "See whether the file and its disk are whole, then run the same command again.",
  );
}

/** Some engines close the stream a moment before they know the exit code. */
async function exitCodeOf(exec: Docker.Exec): Promise<number> {
  const giveUpAt = Date.now() + 10_000;
  for (;;) {
    const { Running: running, ExitCode: code } = await exec.inspect().catch((error: Error) => {
      throw new ConnectionLost(error.message);
    });
    if (!running && code !== null) return code;
    if (Date.now() > giveUpAt) throw new ConnectionLost("the engine does not say how the command ended");
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

const SIZE_TRIES = 20;
const SIZE_AGAIN_MS = 50;

/**
 * Gives it this terminal's size, and each later one. Returns once it has the first, so that it has it before what is typed: an engine
 * refuses a size for a command that it has not quite started.
 */
async function followTerminalSize(exec: Docker.Exec, ended: Promise<void>): Promise<() => void> {
  const resize = async (): Promise<boolean> => {
    const { rows, columns } = process.stdout;
    if (rows && columns) await exec.resize({ h: rows, w: columns });
    return true;
  };
  for (let tries = 1; tries <= SIZE_TRIES; tries++) {
    if (await Promise.race([ended, resize().catch(() => false)])) break;
    await Promise.race([ended, delay(SIZE_AGAIN_MS)]);
  }
  const follow = () => void resize().catch(() => undefined);
  process.stdout.on("resize", follow);
  return () => process.stdout.off("resize", follow);
}

/** How a command ended, and what it said. */
export interface Collected {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command and keeps what it says. For short answers. */
export async function collectFromContainer(
  container: Docker.Container,
  command: readonly string[],
  stdin?: Buffer,
): Promise<Collected> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([text(out), text(err)]);
  const code = await runInContainer(container, command, {
    stdout: out,
    stderr: err,
    ...(stdin ? { stdin: Readable.from([stdin]) } : {}),
  });
  out.end();
  err.end();
  const [stdout, stderr] = await texts;
  return { code, stdout, stderr };
}

/**
 * Runs a command and passes on what it writes, no faster than `out` takes it, and does not end that. Only with the exit code is it known
 * that it was all.
 */
export async function readFromContainer(
  container: Docker.Container,
  command: readonly string[],
  out: Writable,
): Promise<Omit<Collected, "stdout">> {
  const exec = await container.exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true });
  const { stream, unwatch } = await startWatched(container, exec, { stdin: false });
  let stderr = "";
  try {
    for await (const { from, bytes } of attachedOutput(stream)) {
      if (from === "stderr") stderr += bytes;
      else if (out.destroyed) throw new Error("what reads it has ended");
      else if (!out.write(bytes)) await once(out, "drain");
    }
  } finally {
    unwatch();
  }
  return { code: await exitCodeOf(exec), stderr };
}

/** As `collectFromContainer`; undefined when the engine cannot run a command in the container at this moment. */
export async function collectIfRunning(
  container: Docker.Container,
  command: readonly string[],
  stdin?: string,
): Promise<Collected | undefined> {
  try {
    const input = stdin === undefined ? undefined : Buffer.from(stdin);
    const collected = await collectFromContainer(container, command, input);
    return collected.code !== 0 && ENDED_MEANWHILE.test(collected.stderr) ? undefined : collected;
  } catch (error) {
    if (isNotRunning(error)) return undefined;
    throw error;
  }
}

/** What Podman says in the command's own output, where the container ended before the command had started. */
const ENDED_MEANWHILE = /exec failed: .*(stopped container|namespace path: lstat \/proc)/;

/** The last two: the container ended after the engine had taken the command. That may be said only when its exit code is asked for. */
const PODMAN_NOT_RUNNING = /container state improper|retrieving exec session|no exec session/;

/** Whether the engine refused a command because its container does not run, or restarts. Docker answers with 409, and Podman with 500. */
export function isNotRunning(error: unknown): boolean {
  const { statusCode, message } = error as { statusCode?: number; message: string };
  return statusCode === 409 || PODMAN_NOT_RUNNING.test(message);
}
