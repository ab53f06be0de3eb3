import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type Difference, type Failure, type Properties, UNKNOWN } from "../provider.ts";
import { type Output, runScript, type Script, type Surroundings } from "./script.ts";

const isText = (value: unknown) => typeof value === "string";
const isList = (value: unknown) => Array.isArray(value);
const isTextList = (value: unknown) => Array.isArray(value) && value.every(isText);
const isTextMap = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isText);
const isFlag = (value: unknown) => typeof value === "boolean";
const isLogging = (value: unknown) =>
  ["stdout", "stderr", "stdoutAndStderr", "none"].includes(value as string);

const runInputs = {
  addPreviousOutputInEnv: { fits: isFlag, wanted: "true or false" },
  archivePaths: { fits: isTextList, wanted: "a list of texts" },
  assetPaths: { fits: isTextList, wanted: "a list of texts" },
  dir: { fits: isText, wanted: "a text" },
  environment: { fits: isTextMap, wanted: "a map of texts" },
  interpreter: { fits: isTextList, wanted: "a list of texts" },
  logging: { fits: isLogging, wanted: "stdout, stderr, stdoutAndStderr or none" },
  stdin: { fits: isText, wanted: "a text" },
};

/** The inputs of `command:local:Command` in @pulumi/command 1.2.1. */
export const commandInputs = {
  ...runInputs,
  create: { fits: isText, wanted: "a text" },
  delete: { fits: isText, wanted: "a text" },
  triggers: { fits: isList, wanted: "a list" },
  update: { fits: isText, wanted: "a text" },
};

/** The arguments of the function `command:local:run`. */
export const runArguments = { ...runInputs, command: { fits: isText, wanted: "a text" } };

const required = (inputs: object) => ("command" in inputs ? ["command"] : []);

/** What is wrong with a set of inputs; empty if nothing is. */
export function check(inputs: Properties, known: typeof commandInputs | typeof runArguments): Failure[] {
  const failures: Failure[] = required(known)
    .filter(name => inputs[name] === undefined)
    .map(property => ({ property, reason: "is required" }));
  for (const [property, value] of Object.entries(inputs)) {
    const rule = (known as Record<string, { fits: (value: unknown) => boolean; wanted: string }>)[property];
    if (!rule) {
      failures.push({ property, reason: `is not a property of @pulumi/command 1.2.1` });
    } else if (value !== undefined && value !== null && value !== UNKNOWN && !rule.fits(value)) {
      failures.push({ property, reason: `must be ${rule.wanted}` });
    } else if ((property === "assetPaths" || property === "archivePaths") && value) {
      const reason =
        "is not supported by the Command plugin's stand-in; the official plugin is needed for it";
      failures.push({ property, reason });
    }
  }
  return failures;
}

/** Every changed input updates, and a changed trigger replaces. Outputs of the old state do not count. */
export function diff(olds: Properties, news: Properties): Difference {
  const changed = Object.keys(commandInputs).filter(
    name => news[name] === UNKNOWN || !isDeepStrictEqual(olds[name] ?? undefined, news[name] ?? undefined),
  );
  return { changed, replaces: changed.filter(name => name === "triggers") };
}

export async function create(
  name: string,
  inputs: Properties,
  preview: boolean,
  around: Surroundings,
): Promise<{ id: string; state: Properties }> {
  const id = `${name}${randomBytes(4).toString("hex")}`;
  if (preview) return { id, state: { ...inputs, stdout: UNKNOWN, stderr: UNKNOWN } };
  return { id, state: { ...inputs, ...(await run(inputs, inputs.create, emptyOutput, around)) } };
}

/** Runs `update`, or `create` if there is none. */
export async function update(
  olds: Properties,
  news: Properties,
  preview: boolean,
  around: Surroundings,
): Promise<Properties> {
  if (preview) return { ...news, stdout: UNKNOWN, stderr: UNKNOWN };
  return { ...news, ...(await run(news, news.update ?? news.create, outputOf(olds), around)) };
}

/** Runs the `delete` of the old state, in the old state's environment. */
export async function remove(state: Properties, around: Surroundings): Promise<void> {
  await run(state, state.delete, outputOf(state), around);
}

/** The function `command:local:run`. */
export async function invokeRun(args: Properties, around: Surroundings): Promise<Properties> {
  return { ...args, ...(await run(args, args.command, emptyOutput, around)) };
}

const emptyOutput: Output = { stdout: "", stderr: "" };

function outputOf(state: Properties): Output {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return { stdout: text(state.stdout), stderr: text(state.stderr) };
}

/** Without a command, the previous output stays. */
async function run(
  inputs: Properties,
  command: unknown,
  previous: Output,
  around: Surroundings,
): Promise<Output> {
  if (typeof command !== "string") return previous;
  const interpreter = inputs.interpreter as string[] | undefined;
  const script: Script = {
    command,
    interpreter: interpreter?.length ? interpreter : ["/bin/sh", "-c"],
    environment: {
      ...(inputs.environment as Record<string, string> | undefined),
      ...(inputs.addPreviousOutputInEnv === false ? {} : previousOutput(previous)),
    },
    ...(typeof inputs.dir === "string" ? { dir: inputs.dir } : {}),
    ...(typeof inputs.stdin === "string" ? { stdin: inputs.stdin } : {}),
  };
  const logged = loggedStreams(inputs.logging);
  const log: Surroundings["log"] = (stream, line) => logged.includes(stream) && around.log(stream, line);
  return runScript(script, { ...around, log });
}

function previousOutput({ stdout, stderr }: Output): Record<string, string> {
  return {
    ...(stdout && { PULUMI_COMMAND_STDOUT: stdout }),
    ...(stderr && { PULUMI_COMMAND_STDERR: stderr }),
  };
}

function loggedStreams(logging: unknown): string[] {
  if (logging === "none") return [];
  return logging === "stdout" || logging === "stderr" ? [logging] : ["stdout", "stderr"];
}
