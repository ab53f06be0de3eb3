// A step of `pulumi up`: ends when the database has a backup that was proven by restoring it, and says which.

import { engineClient } from "../engine/client.ts";
import { collectFromContainer } from "../engine/run-in-container.ts";
import { failureLines, warningsIn } from "../shared/marked-lines.ts";
import { agentCommand } from "../shared/names.ts";
import { runStep, StepFailure } from "./steps/main.ts";

interface Input {
  engine: string;
  /** The backup agent's, by name: a new one of it changes nothing about what was proven. */
  agent: string;
  /** Not read: another database container, or another volume, is what makes the step run again. */
  database: string;
  volume: string;
}

/** A household's ledger is dumped and restored in seconds; what takes longer than this is stuck. */
const DEADLINE_SECONDS = 3600;

await runStep<Input>(DEADLINE_SECONDS, async input => {
  const container = engineClient(input.engine).getContainer(input.agent);
  const { code, stdout, stderr } = await collectFromContainer(container, agentCommand("prove-first-backup"));
  if (code === 0) {
    // What is well, and yet to be seen: the operator has accepted that it is not proven.
    for (const warning of warningsIn(stderr)) process.stderr.write(`${warning}\n`);
    return stdout.trim();
  }
  const [why, ...next] = failureLines(stderr) ?? [`It ended with exit code ${code}.`];
  throw new StepFailure(
    `Everything runs, but the database has no proven backup yet.\n${why}`,
    [...next.map(line => line.trim()), "npm run pulumi -- up     # tries again"].join("\n"),
  );
});
