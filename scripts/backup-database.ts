import { runAgent } from "./agent-command.ts";
import type { Stack } from "./stack-containers.ts";

export interface BackupDatabaseOptions {
  format?: string;
  reason?: string;
  rolePasswords?: boolean;
  json?: boolean;
}

/** Takes a backup now; returns the agent's exit code. */
export function backupDatabase(stack: Stack, options: BackupDatabaseOptions): Promise<number> {
  const args = ["backup"];
  if (options.format) args.push("--format", options.format);
  if (options.reason) args.push("--reason", options.reason);
  if (options.rolePasswords) args.push("--role-passwords");
  if (options.json) args.push("--json");
  return runAgent(stack, { args });
}
