import { type AgentCommand, runAgent } from "./agent-command.ts";
import type { Stack } from "./stack-containers.ts";

interface Options {
  /** Of the bucket instead of the backup directory. */
  remote?: boolean;
  json?: boolean;
  /** The file with the private key that opens encrypted copies. */
  identity?: string;
}

/** Each returns the agent's exit code. */
export function listBackups(stack: Stack, options: Options): Promise<number> {
  return runAgent(stack, commandOf("list", undefined, options));
}

export function verifyBackups(stack: Stack, backup: string | undefined, options: Options): Promise<number> {
  return runAgent(stack, commandOf("verify", backup, options));
}

export function pullBackup(stack: Stack, backup: string, { json, identity }: Options): Promise<number> {
  const args = ["pull", backup, ...(json ? ["--json"] : [])];
  return runAgent(stack, { args, readsBucket: "always", identityFile: identity });
}

export function drillBackup(
  stack: Stack,
  backup: string,
  { from, json, identity }: { from?: "s3"; json?: boolean; identity?: string },
): Promise<number> {
  const args = ["drill", backup, ...(from ? ["--from", from] : []), ...(json ? ["--json"] : [])];
  return runAgent(stack, from ? { args, readsBucket: "always", identityFile: identity } : { args });
}

/** With credentials that may read, what is missing is seen in the bucket itself; without, in the manifests. */
export function pushBackups(stack: Stack, { json }: Options): Promise<number> {
  const args = ["push", ...(json ? ["--json"] : [])];
  return runAgent(stack, { args, readsBucket: "when credentials are known" });
}

function commandOf(
  command: string,
  backup: string | undefined,
  { remote, json, identity }: Options,
): AgentCommand {
  const flags = [...(remote ? ["--remote"] : []), ...(json ? ["--json"] : [])];
  const args = [command, ...(backup ? [backup] : []), ...flags];
  return remote ? { args, readsBucket: "always", identityFile: identity } : { args };
}
