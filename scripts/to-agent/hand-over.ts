import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { failureLines } from "../../shared/marked-lines.ts";
import { agentCommand } from "../../shared/names.ts";
import { containerOf, type Stack } from "../stack/stack-containers.ts";

/**
 * Gives the agent a secret for its next command only. The agent keeps it in memory, and that command takes it away from
 * there. Returns where it is. It goes through standard input, because arguments and environment can be inspected. Throws
 * a Stop when the agent does not take it.
 */
export async function handOver(
  stack: Stack,
  command: "keep-reader" | "keep-identity" | "keep-mask" | "keep-target",
  what: string,
  secret: Buffer,
): Promise<string> {
  const { container } = containerOf(stack, "backup-agent");
  const kept = await collectFromContainer(container, agentCommand(command), secret);
  if (kept.code === EXIT.done) return kept.stdout.trim();
  const [said, next] = failureLines(kept.stderr) ?? [kept.stderr.trim()];
  if (kept.code === EXIT.usage) throw new Stop(EXIT.usage, said, next?.trim());
  throw new Stop(
    EXIT.failed,
    `The agent did not take ${what}: ${said || `exit code ${kept.code}`}`,
    "See `npx budgie logs backup`, then run the same command again.",
  );
}
