// A step of `pulumi up`: makes the bucket of the stack's own object store and the users for it, from inside the network.
import type { Container } from "dockerode";
import { collectFromContainer } from "../scripts/run-in-container.ts";
import { engineClient } from "./engine.ts";
import { runStep, StepFailure } from "./step-main.ts";

interface Input {
  engine: string;
  /** The backup agent's. */
  container: string;
  /** Not read: another container of the store's is what makes the step run again. */
  store: string;
  /** For the agent's command `prepare-local-store`. */
  wanted: unknown;
}

/** The agent itself waits up to a minute for the store to start. */
const DEADLINE_SECONDS = 120;

const SEND_WITHIN_SECONDS = 20;

/**
 * The agent may have taken its first backup before there was a bucket, and would try again only minutes later. How this
 * comes out is for `npx budgie status` to say: the agent goes on trying.
 */
async function sendWhatIsThere(container: Container): Promise<void> {
  await collectFromContainer(container, ["timeout", String(SEND_WITHIN_SECONDS), "budgie-agent", "push"]);
}

await runStep<Input>(DEADLINE_SECONDS, async input => {
  const container = engineClient(input.engine).getContainer(input.container);
  const command = ["budgie-agent", "prepare-local-store"];
  const stdin = Buffer.from(JSON.stringify(input.wanted));
  const { code, stdout, stderr } = await collectFromContainer(container, command, stdin);
  if (code === 0) {
    await sendWhatIsThere(container);
    return stdout.trim();
  }
  const [what = "", ...next] = stderr.trim().split("\n");
  throw new StepFailure(
    what.replace(/^\[✗\] /, ""),
    next.map(line => line.trim()).join("\n") || "npx budgie status",
  );
});
