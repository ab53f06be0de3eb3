import { readdir } from "node:fs/promises";
import { constants } from "node:os";
import { basename, join, resolve } from "node:path";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { END_SIGNALS } from "../../shared/interruption.ts";
import { PROJECT_FOLDER, STATE_FOLDER } from "../../shared/project-folder.ts";

const RUN = join(PROJECT_FOLDER, "toolchain", "run.mjs");

/**
 * Runs a command of the project (`npm run COMMAND`) with this terminal, and returns its exit code. A signal reaches it, and this waits
 * until it has ended.
 */
export async function runTool(command: string, args: readonly string[]): Promise<number> {
  const { execa } = await import("execa");
  const running = execa(process.execPath, [RUN, command, ...args], {
    cwd: PROJECT_FOLDER,
    stdio: "inherit",
    reject: false,
  });
  // A terminal sends Ctrl-C to it as well, and a second one would make Pulumi stop at once.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY;
  const pass = (signal: NodeJS.Signals) =>
    void (signal === "SIGINT" && onTerminal ? false : running.kill(signal));
  for (const signal of END_SIGNALS) process.on(signal, pass);
  const { exitCode, signal } = await running;
  for (const signal of END_SIGNALS) process.off(signal, pass);
  return exitCode ?? (signal ? 128 + constants.signals[signal] : EXIT.failed);
}

/**
 * Whether an update holds the lock of this stack's state, as one that was killed does for ever. What keeps its state elsewhere than in
 * files says so by itself.
 */
export async function isLocked(stack: string): Promise<boolean> {
  const url = process.env.PULUMI_BACKEND_URL || `file://${STATE_FOLDER}`;
  if (!url.startsWith("file://")) return false;
  const folder = resolve(PROJECT_FOLDER, url.slice("file://".length), ".pulumi", "locks");
  const files = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return files.some(({ name, parentPath }) => name.endsWith(".json") && basename(parentPath) === stack);
}

/** Runs the Pulumi CLI and keeps what it says. @param input for its standard input, where a secret goes */
export async function askPulumi(
  args: readonly string[],
  input?: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { execa } = await import("execa");
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [RUN, "pulumi", ...args, "--non-interactive"],
    {
      cwd: PROJECT_FOLDER,
      env,
      reject: false,
      ...(input === undefined ? { stdin: "ignore" as const } : { input }),
    },
  );
  return { code: exitCode ?? EXIT.failed, stdout, stderr };
}

export interface NewSetting {
  /** Without `budgie:`. */
  name: string;
  value: string;
  secret: boolean;
}

/**
 * Writes settings into a stack's file: secrets encrypted, and handed over on standard input, where nobody sees them. Throws a Stop that
 * says what Pulumi said.
 */
export async function writeSettings(
  settings: readonly NewSetting[],
  { stack, configured }: { stack: string; configured: readonly string[] },
): Promise<void> {
  const onStack = ["--stack", stack, ...configured];
  const plain = settings.filter(({ secret }) => !secret);
  const pairs = plain.flatMap(({ name, value }) => ["--plaintext", `budgie:${name}=${value}`]);
  const asked = [
    ...(plain.length > 0 ? [{ args: ["config", "set-all", ...pairs, ...onStack] }] : []),
    ...settings
      .filter(({ secret }) => secret)
      .map(({ name, value }) => ({
        args: ["config", "set", "--secret", `budgie:${name}`, ...onStack],
        input: value,
      })),
  ];
  for (const { args, input } of asked as { args: string[]; input?: string }[]) {
    const { code, stderr } = await askPulumi(args, input);
    if (code === 0) continue;
    throw new Stop(
      EXIT.failed,
      `The settings of stack ${stack} could not be written. Nothing else was changed. Pulumi says: ${stderr.trim().split("\n").at(-1) ?? ""}`,
      `If there is no such stack yet: npm run pulumi -- stack init ${stack}. Then run the same command again.`,
    );
  }
}

/** Where a stack's settings are, when not beside the program. */
export function settingsIn({ configFile }: { configFile?: string | undefined }): string[] {
  return configFile === undefined ? [] : ["--config-file", configFile];
}

/** Which stack a command of Pulumi or of the toolchain is for, with its settings. */
export function onStack(stack: string, options: { configFile?: string | undefined }): string[] {
  return ["--stack", stack, ...settingsIn(options)];
}
