import { terminalReporter } from "../../../agent/base/reporter.ts";
import { sendMissingBySsh } from "../../../agent/ssh/send-missing.ts";
import { readSettings } from "../../../shared/agent-environment.ts";
import { EXIT } from "../../../shared/exit-codes.ts";
import { runCommandLine } from "../../../shared/run-command-line.ts";

/** A program of this one step, for the agent's container. Prints the outcome and its own peak memory as JSON. */
void runCommandLine(async () => {
  const outcome = await sendMissingBySsh(readSettings(process.env), terminalReporter(true));
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(`${JSON.stringify({ ...outcome, peakMemoryBytes })}\n`);
  if (outcome?.failure) throw outcome.failure;
  return EXIT.done;
});
