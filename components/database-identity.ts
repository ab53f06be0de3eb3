// A step of `pulumi up`: refuses to go on when the database is not the one that the stack's backups came from, before the
// API starts to make tables in it.
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../agent/exit-codes.ts";
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

/**
 * The database answers by now; but with some Podmans no name leads anywhere for a while after a container was replaced
 * (docs/podman.md).
 */
const KEEP_ASKING_MS = 120_000;
const DEADLINE_SECONDS = 180;

await runStep<Input>(DEADLINE_SECONDS, async input => {
  const container = engineClient(input.engine).getContainer(input.container);
  const check = () => collectFromContainer(container, ["budgie-agent", "check-identity"]);
  const giveUpAt = Date.now() + KEEP_ASKING_MS;
  let answer = await check();
  while (answer.code === EXIT.databaseUnreachable && Date.now() < giveUpAt) {
    await sleep(1_000);
    answer = await check();
  }
  const { code, stdout, stderr } = answer;
  if (code === 0) return stdout.trim();
  const [what = "", ...next] = stderr.trim().split("\n");
  throw new StepFailure(
    what.replace(/^\[✗\] /, ""),
    next.map(line => line.trim()).join("\n") || "npx budgie status",
  );
});
