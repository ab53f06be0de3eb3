// A step of `pulumi up`: ends when the database has a backup that was proven by restoring it, and says which.
import { collectFromContainer } from "../scripts/run-in-container.ts";
import { engineClient } from "./engine.ts";
import { runStep, StepFailure } from "./step-main.ts";

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
  const { code, stdout, stderr } = await collectFromContainer(container, [
    "budgie-agent",
    "prove-first-backup",
  ]);
  if (code === 0) return stdout.trim();
  const lines = stderr.trim().split("\n");
  const failed = lines.findIndex(line => line.startsWith("[✗] "));
  const [why = `It ended with exit code ${code}.`, ...next] = failed < 0 ? [] : lines.slice(failed);
  throw new StepFailure(
    `Everything runs, but the database has no proven backup yet.\n${why.replace(/^\[✗\] /, "")}`,
    [...next.map(line => line.trim()), "pulumi up     # tries again"].join("\n"),
  );
});
