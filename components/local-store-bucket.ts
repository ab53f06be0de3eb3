// A step of `pulumi up`: makes the bucket of the stack's own object store and the users for it, from inside the network.

import type { Container } from "dockerode";
import { engineClient } from "../engine/client.ts";
import { collectFromContainer } from "../engine/run-in-container.ts";
import { agentCommand } from "../shared/names.ts";
import { agentFailure } from "./steps/agent-failure.ts";
import { runStep } from "./steps/main.ts";

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
 * The agent may have taken its first backup before there was a bucket, and would try again only minutes later. It does
 * not matter here how this ends: the agent goes on trying, and `npx budgie status` tells.
 */
async function sendWhatIsThere(container: Container): Promise<void> {
  await collectFromContainer(container, ["timeout", String(SEND_WITHIN_SECONDS), ...agentCommand("push")]);
}

await runStep<Input>(DEADLINE_SECONDS, async input => {
  const container = engineClient(input.engine).getContainer(input.container);
  const command = agentCommand("prepare-local-store");
  const stdin = Buffer.from(JSON.stringify(input.wanted));
  const answer = await collectFromContainer(container, command, stdin);
  if (answer.code !== 0) throw agentFailure(answer);
  await sendWhatIsThere(container);
  return answer.stdout.trim();
});
