import { execa } from "execa";

interface ExportedState {
  deployment: { resources?: { urn: string; pendingReplacement?: boolean }[] };
}

/** The Pulumi program whose gate asks, where it is not this project's own. */
export interface Program {
  folder: string;
  /** As Pulumi names it. */
  stack: string;
  /** The names of the two resources in its state. */
  gate: string;
  database: string;
}

/**
 * Whether an update took the database's backup, removed its container, and then was killed or failed before it had made
 * the next one. The engine notes both only once they are done. The next update deletes the gate a second time, and a
 * refresh leaves both as they are. False where the state cannot be read: then it is not known.
 */
export async function isInterruptedReplacement({ folder, stack, gate, database }: Program): Promise<boolean> {
  const args = ["stack", "export", "--stack", stack, "--non-interactive"];
  const { failed, stdout } = await execa("pulumi", args, { reject: false, cwd: folder });
  if (failed) return false;
  const { resources = [] } = (JSON.parse(stdout) as ExportedState).deployment;
  return [gate, database].every(name =>
    resources.some(({ urn, pendingReplacement }) => urn.endsWith(`::${name}`) && pendingReplacement === true),
  );
}
