// A step of `pulumi up`: refuses to go on when the database is not the one that the stack's backups came from, before the
// API starts to make tables in it.
import { collectFromContainer } from "../scripts/run-in-container.ts";
import { engineClient } from "./engine.ts";
import { runStep, StepFailure } from "./step-main.ts";

interface Input {
  engine: string;
  /** The backup agent's: it knows the backups. */
  container: string;
  /** Not read: another database container is what makes the step run again. */
  database: string;
}

const DEADLINE_SECONDS = 60;

await runStep<Input>(DEADLINE_SECONDS, async input => {
  const container = engineClient(input.engine).getContainer(input.container);
  const { code, stdout, stderr } = await collectFromContainer(container, ["budgie-agent", "check-identity"]);
  if (code === 0) return stdout.trim();
  const [what = "", ...next] = stderr.trim().split("\n");
  throw new StepFailure(
    what.replace(/^\[✗\] /, ""),
    next.map(line => line.trim()).join("\n") || "npx budgie status",
  );
});
