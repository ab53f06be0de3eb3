import { runAgent } from "./agent-command.ts";
import type { Stack } from "./stack-containers.ts";

/** Each returns the agent's exit code. Without `dryRun` this DESTROYS the backups that no rule keeps. */
export function pruneBackups(stack: Stack, options: { dryRun?: boolean; json?: boolean }): Promise<number> {
  return runAgent(stack, { args: ["prune", ...(options.dryRun ? ["--dry-run"] : []), ...jsonFlag(options)] });
}

export function pinBackup(
  stack: Stack,
  backup: string,
  options: { until?: string; json?: boolean },
): Promise<number> {
  const until = options.until === undefined ? [] : ["--until", options.until];
  return runAgent(stack, { args: ["pin", backup, ...until, ...jsonFlag(options)] });
}

export function unpinBackup(stack: Stack, backup: string, options: { json?: boolean }): Promise<number> {
  return runAgent(stack, { args: ["unpin", backup, ...jsonFlag(options)] });
}

function jsonFlag({ json }: { json?: boolean }): string[] {
  return json ? ["--json"] : [];
}
