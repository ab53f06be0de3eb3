import { EXIT, Stop } from "../agent/exit-codes.ts";
import { collectFromContainer } from "./run-in-container.ts";
import { containerOf, type Stack } from "./stack-containers.ts";

/**
 * Gives the agent a secret for its next command only: into its memory, from which that command takes it away. Returns where it
 * is. On standard input, because arguments and environment can be inspected. Throws a Stop when the agent does not take it.
 */
export async function handOver(
  stack: Stack,
  command: "keep-reader" | "keep-identity",
  what: string,
  secret: Buffer,
): Promise<string> {
  const { container } = containerOf(stack, "backup-agent");
  const kept = await collectFromContainer(container, ["budgie-agent", command], secret);
  if (kept.code === EXIT.done) return kept.stdout.trim();
  const [said = "", next] = kept.stderr
    .replace(/^\[✗\] /, "")
    .trim()
    .split(/\n\s*/);
  if (kept.code === EXIT.usage) throw new Stop(EXIT.usage, said, next);
  throw new Stop(
    EXIT.failed,
    `The agent did not take ${what}: ${said || `exit code ${kept.code}`}`,
    "See `npx budgie logs backup`, then run the same command again.",
  );
}
