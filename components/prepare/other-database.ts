import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { failureLines } from "../../shared/marked-lines.ts";
import { agentCommand, containerName } from "../../shared/names.ts";
import { withDeadline } from "../../shared/with-deadline.ts";

/** A server that does not answer is for other steps to judge. */
const ANSWER_WITHIN_MS = 10_000;

/**
 * Says so, with the ways out, when the database that runs now is not the one that the stack's backups came from. Somebody
 * can copy over the volume while the container stays the same, and then no step of `pulumi up` looks. Undefined when
 * there is no agent to ask, or no answer.
 */
export async function otherDatabaseProblem(engine: Engine, namePrefix: string): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const agent = engineClient(engine.host).getContainer(containerName(namePrefix, "backup-agent"));
  const asked = collectFromContainer(agent, agentCommand("check-identity"));
  const answer = await withDeadline(asked, ANSWER_WITHIN_MS).catch(() => undefined);
  if (answer?.code !== EXIT.anotherDatabase) return undefined;
  const said = failureLines(answer.stderr) ?? [answer.stderr.trim()];
  return [...said, "Nothing was changed."].join("\n");
}
