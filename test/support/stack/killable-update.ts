import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestStack } from "./stack.ts";

export interface Kill {
  /** How many events of Pulumi's event log come first, or a pattern that one of them matches. */
  afterEvents: number | RegExp;
  /** How much later than that. */
  afterMilliseconds: number;
}

export interface Killed {
  /** Null for an update that was killed before it ended. */
  exitCode: number | null;
  /** How many events there were. */
  events: number;
  output: string;
}

/**
 * Runs `pulumi ARGS`, then kills with -9, all at once, everything that it started: the CLI, the language host, the program, the
 * plugins and their commands. What the container engine was asked to do goes on, as it would for an operator.
 */
export async function runAndKill(stack: TestStack, args: readonly string[], kill: Kill): Promise<Killed> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-test-events-"));
  const log = join(folder, "events.json");
  const mark = `BUDGIE_TEST_UPDATE=${randomUUID()}`;
  const [name = "", value = ""] = mark.split("=");
  const { args: all, env } = stack.invocation(...args, "--event-log", log);
  const child = spawn("pulumi", all, {
    env: { ...env, [name]: value },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", piece => (output += piece));
  const ended = new Promise<number | null>(resolve => child.once("close", code => resolve(code)));
  const read = () => readFile(log, "utf8").catch(() => "");
  const count = async () => (await read()).split("\n").length - 1;
  const { afterEvents } = kill;
  const isDue = async () =>
    typeof afterEvents === "number" ? (await count()) >= afterEvents : afterEvents.test(await read());

  while (child.exitCode === null && !(await isDue())) await sleep(15);
  await Promise.race([ended, sleep(kill.afterMilliseconds)]);
  const exitCode = child.exitCode;
  killMarked(mark);
  await ended;
  const events = await count();
  await rm(folder, { recursive: true });
  return { exitCode, events, output };
}

/** Stops every process first, so that none sees another die. The next round finds those that were just being started. */
function killMarked(mark: string): void {
  for (let found = marked(mark); found.length > 0; found = marked(mark)) {
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) for (const pid of found) send(pid, signal);
  }
}

/** Every process inherits the environment, whatever group or session it starts. */
function marked(mark: string): number[] {
  return readdirSync("/proc")
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(mark);
      } catch {
        return false;
      }
    });
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
