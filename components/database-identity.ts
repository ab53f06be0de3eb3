// A step of `pulumi up`: refuses to go on when the database is not the one that the stack's backups came from, before the
// API starts to make tables in it.

import { setTimeout as sleep } from "node:timers/promises";
import { engineClient } from "../engine/client.ts";
import { collectFromContainer } from "../engine/run-in-container.ts";
import { EXIT } from "../shared/exit-codes.ts";
import { agentCommand } from "../shared/names.ts";
import { agentFailure } from "./steps/agent-failure.ts";
import { runStep } from "./steps/main.ts";

interface Input {
  engine: string;
  /** The backup agent's: it knows the backups. */
  container: string;
  /** Not read: another database container is what makes the step run again. */
  database: string;
}

/**
 * The database answers by now. But with some Podmans no name resolves for a while after a container was replaced
 * (docs/podman.md).
 */
const KEEP_ASKING_MS = 120_000;
const DEADLINE_SECONDS = 180;

await runStep<Input>(DEADLINE_SECONDS, async input => {
  const container = engineClient(input.engine).getContainer(input.container);
  const check = () => collectFromContainer(container, agentCommand("check-identity"));
  const giveUpAt = Date.now() + KEEP_ASKING_MS;
  let answer = await check();
  while (answer.code === EXIT.databaseUnreachable && Date.now() < giveUpAt) {
    await sleep(1_000);
    answer = await check();
  }
  if (answer.code === 0) return answer.stdout.trim();
  throw agentFailure(answer);
});
