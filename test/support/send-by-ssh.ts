import { EXIT } from "../../agent/exit-codes.ts";
import { terminalReporter } from "../../agent/reporter.ts";
import { runCommandLine } from "../../agent/run-command-line.ts";
import { readSettings } from "../../agent/settings.ts";
import { sendMissingBySsh } from "../../agent/ssh-send-missing.ts";

/** A program of this one step, for the agent's container. Prints the outcome and its own peak of memory as JSON. */
void runCommandLine(async () => {
  const outcome = await sendMissingBySsh(readSettings(process.env), terminalReporter(true));
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(`${JSON.stringify({ ...outcome, peakMemoryBytes })}\n`);
  if (outcome?.failure) throw outcome.failure;
  return EXIT.done;
});
