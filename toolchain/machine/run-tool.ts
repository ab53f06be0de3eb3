import { createWriteStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { execa, type Options } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { logFolder } from "./cache.ts";
import { ToolchainError } from "./say.ts";

/**
 * Runs a program whose output nobody wants to see unless it fails: the output goes to a log in the cache folder, and its
 * end into the error.
 */
export async function runLogged(
  name: string,
  file: string,
  args: string[],
  options: Options = {},
): Promise<void> {
  await mkdir(logFolder, { recursive: true });
  const log = join(logFolder, `${name}.log`);
  const stream = createWriteStream(log);
  const run = execa(file, args, { ...options, stdin: "ignore", all: true, buffer: false, reject: false });
  run.all.pipe(stream);
  const result = await run;
  await finished(stream.end());
  if (!result.failed) return;
  const why = result.code === "ENOENT" ? `${file} is not installed` : `${file} failed (${exitOf(result)})`;
  throw new ToolchainError(`${why}. The end of ${log}:\n${await tail(log)}`);
}

function exitOf(result: { exitCode?: number; signal?: string; timedOut?: boolean }): string {
  if (result.timedOut) return "out of time";
  return result.signal ? `signal ${result.signal}` : `exit code ${result.exitCode}`;
}

/** The last lines of a file, indented; empty if there is no such file. */
export async function tail(path: string, lines = 15): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .trimEnd()
    .split("\n")
    .slice(-lines)
    .map(line => `    ${line}`)
    .join("\n");
}

/**
 * Runs a program in the foreground, in the project's folder and with our own terminal, and gives its exit code; signals
 * reach it as well.
 */
export async function runThrough(file: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const run = execa(file, args, {
    cwd: PROJECT_FOLDER,
    env,
    extendEnv: false,
    stdio: "inherit",
    reject: false,
  });
  // A terminal sends Ctrl-C to the child as well, and a second one would make Pulumi stop at once.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY;
  const pass = (signal: NodeJS.Signals) =>
    void (signal === "SIGINT" && onTerminal ? false : run.kill(signal));
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, pass);
  const result = await run;
  for (const signal of signals) process.off(signal, pass);
  if (result.exitCode !== undefined) return result.exitCode;
  if (result.signal) return 128 + constants.signals[result.signal];
  throw new ToolchainError(`${file} could not be started: ${result.shortMessage}`);
}
