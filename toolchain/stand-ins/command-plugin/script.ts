import { spawn } from "node:child_process";
import { StringDecoder } from "node:string_decoder";

export interface Script {
  command: string;
  /** What `command` is the last argument of. */
  interpreter: string[];
  dir?: string;
  environment: Record<string, string>;
  stdin?: string;
}

export interface Surroundings {
  /** Called with each whole line as it comes. */
  log: (stream: "stdout" | "stderr", line: string) => void;
  /** Kills the interpreter, and nothing that it started. */
  signal: AbortSignal;
}

/** What a script printed, without the last line's end. */
export interface Output {
  stdout: string;
  stderr: string;
}

/** Runs a script. One that fails throws the command and all that it printed, in the order in which it came. */
export async function runScript(script: Script, { log, signal }: Surroundings): Promise<Output> {
  const [file = "/bin/sh", ...args] = [...script.interpreter, script.command];
  const printed = { stdout: "", stderr: "" };
  let both = "";
  const fail = (why: string) => new Error(`${why}: running ${JSON.stringify(script.command)}:\n${both}`);

  const child = spawn(file, args, {
    cwd: script.dir,
    env: { ...process.env, ...script.environment },
    stdio: ["pipe", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
  });
  // A command need not read what it is given.
  child.stdin.on("error", () => {});
  child.stdin.end(script.stdin ?? "");
  const collect = (stream: "stdout" | "stderr") => {
    const decoder = new StringDecoder("utf8");
    let line = "";
    const take = (text: string) => {
      printed[stream] += text;
      both += text;
      const lines = (line + text).split("\n");
      line = lines.pop() ?? "";
      for (const whole of lines) log(stream, whole);
    };
    child[stream].on("data", (chunk: Buffer) => take(decoder.write(chunk)));
    child[stream].on("end", () => {
      take(decoder.end());
      if (line) log(stream, line);
    });
  };
  collect("stdout");
  collect("stderr");

  let problem: Error | undefined;
  child.on("error", error => {
    problem ??= error;
  });
  const [code, killedBy] = await new Promise<[number | null, NodeJS.Signals | null]>(resolve =>
    child.on("close", (...ended) => resolve(ended)),
  );
  if (signal.aborted) throw fail(`signal: killed (${String(signal.reason)})`);
  if (problem) throw fail(problem.message);
  if (killedBy) throw fail(`signal: ${killedBy}`);
  if (code !== 0) throw fail(`exit status ${code}`);
  return { stdout: withoutLastNewline(printed.stdout), stderr: withoutLastNewline(printed.stderr) };
}

function withoutLastNewline(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
