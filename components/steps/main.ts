import { text } from "node:stream/consumers";
import type Docker from "dockerode";
import { containerLog } from "../../engine/container-log.ts";
import { Stop } from "../../shared/exit-codes.ts";

/** Why a step failed, in the operator's words, and what to type next. */
export class StepFailure extends Error {
  constructor(
    what: string,
    readonly next: string,
  ) {
    super(what);
  }
}

/** For how long after its deadline a step may still ask the engine why. */
const LAST_WORDS_MS = 20_000;

/**
 * The frame of a step that Pulumi runs as a command: its input is JSON on standard input, so that no secret is in an
 * argument or in the environment. It ends within the deadline, with one clear message when it fails.
 *
 * @param seconds the step's deadline; `work` is told the moment (as of `Date.now()`) at which it ends.
 */
export async function runStep<Input>(
  seconds: number,
  work: (input: Input, until: number) => Promise<string>,
): Promise<never> {
  const until = Date.now() + seconds * 1000;
  setTimeout(
    () => fail(new StepFailure(`Not finished after ${seconds} seconds.`, "npm run pulumi -- up")),
    until - Date.now() + LAST_WORDS_MS,
  ).unref();
  try {
    const input = parse<Input>(await text(process.stdin));
    process.stdout.write(`${await work(input, until)}\n`);
    process.exit(0);
  } catch (error) {
    return fail(error);
  }
}

/** The parser's own message would quote the input. */
function parse<Input>(json: string): Input {
  try {
    return JSON.parse(json) as Input;
  } catch {
    throw new StepFailure("The step's input is not JSON. Steps are run by Pulumi.", "npm run pulumi -- up");
  }
}

function fail(error: unknown): never {
  const { message, next } = asFailure(error);
  process.stderr.write(`${message}\nWhat to type next:\n${next.replace(/^/gm, "  ")}\n`);
  process.exit(1);
}

function asFailure(error: unknown): StepFailure {
  if (error instanceof StepFailure) return error;
  if (error instanceof Stop) return new StepFailure(error.message, error.next ?? "npm run pulumi -- up");
  const { code, statusCode, message } = error as Error & { code?: string; statusCode?: number };
  if (statusCode === 404) return new StepFailure("The container is gone.", "npm run pulumi -- up --refresh");
  if (code && ["ENOENT", "ECONNREFUSED", "EACCES"].includes(code)) {
    return new StepFailure(`The container engine does not answer: ${message}.`, "npm run up");
  }
  return new StepFailure(message, "npm run pulumi -- up");
}

/** The last lines that a container wrote, without the secrets given. */
export async function lastLines(
  container: Docker.Container,
  lines: number,
  secrets: readonly string[] = [],
): Promise<string> {
  const log = await containerLog(container, { tail: lines });
  const shown = secrets.filter(Boolean).reduce((text, secret) => text.replaceAll(secret, "***"), log);
  return shown.trimEnd() || "(it wrote nothing)";
}
