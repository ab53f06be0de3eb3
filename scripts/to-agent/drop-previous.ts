import { EXIT } from "../../shared/exit-codes.ts";
import { flagsGiven } from "../../shared/forwarded-flags.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { ask, isTerminal } from "../terminal/ask.ts";
import { runAgent } from "./agent-command.ts";

/** What was typed behind `drop-previous`. */
export interface DropPreviousOptions {
  olderThan?: number;
  yes?: boolean;
  json?: boolean;
}

/**
 * Lists what restores set aside, or has the agent delete some of it. The agent says first what that would be; on a terminal the
 * operator is then asked. Returns an exit code.
 */
export async function dropPrevious(
  stack: Stack,
  names: readonly string[],
  options: DropPreviousOptions,
): Promise<number> {
  const run = (typed: DropPreviousOptions) =>
    runAgent(stack, { args: ["drop-previous", ...flagsGiven("drop-previous", typed), "--", ...names] });
  const code = await run(options);
  if (code !== EXIT.notConfirmed || options.json || !isTerminal()) return code;
  if (!(await ask("Delete for good?", false))) return code;
  return run({ ...options, yes: true });
}
