import { execa } from "execa";

interface ExportedState {
  deployment: { resources?: { urn: string; pendingReplacement?: boolean }[] };
}

/**
 * Whether an update took the database's backup and removed its container, and then ended, killed or failed, before it had made
 * the next one. The engine notes each of the two only once it is done; it deletes the gate a second time in the update after it,
 * and a refresh leaves both as they are. False where the state cannot be read: then it is not known.
 */
export async function isCutOffReplacement(stack: string): Promise<boolean> {
  const args = ["stack", "export", "--stack", stack, "--non-interactive"];
  const { failed, stdout } = await execa("pulumi", args, { reject: false });
  if (failed) return false;
  const { resources = [] } = (JSON.parse(stdout) as ExportedState).deployment;
  return ["backup-gates-before-change", "database-container"].every(name =>
    resources.some(({ urn, pendingReplacement }) => urn.endsWith(`::${name}`) && pendingReplacement === true),
  );
}
