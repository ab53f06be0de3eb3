import { statSync } from "node:fs";
import { isLocal } from "../../engine/address.ts";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { containerName } from "../../shared/names.ts";

/** How many names the directory has, and which one it is, in the agent's container. */
const LOOK = ["stat", "-c", "%h %i", "/backups"];
/** A backup that is being written into a directory that nobody finds again may end tidily. */
const RESTART_WITHIN_SECONDS = 30;

/**
 * Restarts the backup agent where the directory that it has is no longer the one at `path`: somebody removed it, or moved it away, while
 * the agent ran. A container keeps the directory that it was started with, and nothing that Pulumi compares shows that. Returns
 * whether it did. An agent that does not answer is for other steps to judge.
 */
export async function reopenBackupDirectory(
  engine: Engine,
  namePrefix: string,
  path: string,
): Promise<boolean> {
  const agent = engineClient(engine.host).getContainer(containerName(namePrefix, "backup-agent"));
  const looked = await collectFromContainer(agent, LOOK).catch(() => null);
  const [, links, inode] = /^(\d+) (\d+)\s*$/.exec(looked?.stdout.toString() ?? "") ?? [];
  if (links === undefined || inode === undefined) return false;
  if (links !== "0" && inode === inodeHere(engine, path, inode)) return false;
  await agent.restart({ t: RESTART_WITHIN_SECONDS });
  return true;
}

/** What the inode should be. Where containers run in a virtual machine, it counts in its own way. */
function inodeHere(engine: Engine, path: string, otherwise: string): string {
  if (!isLocal(engine.host) || process.platform !== "linux") return otherwise;
  return String(statSync(path, { bigint: true }).ino);
}
