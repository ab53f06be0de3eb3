import { EXIT } from "../agent/exit-codes.ts";
import { collectFromContainer } from "../scripts/run-in-container.ts";
import { type Engine, engineClient } from "./engine.ts";

/** A server that does not answer is for other steps to judge. */
const ANSWER_WITHIN_MS = 10_000;

/**
 * Says so, with the ways out, when the database that runs now is another one than the stack's backups came from: a volume can be
 * copied over beneath a container that stays the same, and then no step of `pulumi up` would look. Undefined when there is no
 * agent to ask, or no answer.
 */
export async function otherDatabaseProblem(engine: Engine, namePrefix: string): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const agent = engineClient(engine.host).getContainer(`${namePrefix}-backup`);
  const noAnswer = new Promise<undefined>(resolve =>
    setTimeout(() => resolve(undefined), ANSWER_WITHIN_MS).unref(),
  );
  const asked = collectFromContainer(agent, ["budgie-agent", "check-identity"]).catch(() => undefined);
  const answer = await Promise.race([asked, noAnswer]);
  if (answer?.code !== EXIT.anotherDatabase) return undefined;
  return `${answer.stderr.trim().replace(/^\[✗\] /, "")}\nNothing was changed.`;
}
