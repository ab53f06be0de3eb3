import { execa } from "execa";
import { shellWord } from "../../../shared/shell-word.ts";

/** What to type once the output holds a text. */
export interface Answer {
  to: string;
  type: string;
}

/** Runs a command on a terminal of its own and answers its questions, in this order. */
export async function onTerminal(
  command: readonly string[],
  answers: readonly Answer[] = [],
  where: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number; output: string }> {
  const quoted = command.map(shellWord).join(" ");
  const running = execa("script", ["--quiet", "--return", "--command", quoted, "/dev/null"], {
    ...where,
    extendEnv: where.env === undefined,
    stdin: "pipe",
    all: true,
    reject: false,
  });
  const left = [...answers];
  let output = "";
  let answered = 0;
  running.all?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    const [next] = left;
    if (!next || !output.slice(answered).includes(next.to)) return;
    answered = output.length;
    left.shift();
    running.stdin?.write(next.type);
  });
  const { exitCode } = await running;
  return { code: exitCode ?? -1, output };
}
