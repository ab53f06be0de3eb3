import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { STATE_FOLDER } from "../../shared/project-folder.ts";
import { say, ToolchainError } from "./say.ts";

/** The stack that `npm run up` runs. */
export const STACK = "dev";

/**
 * Makes what a project folder needs before its first `pulumi up`: the folders for state and backups, which only this user
 * can read, and the passphrase. Never replaces a passphrase: without the right one, the secrets in the state are lost.
 */
export async function prepareLocalState(project: string, environment: NodeJS.ProcessEnv): Promise<void> {
  // Before Docker makes it, and gives it to root.
  await mkdir(join(project, "backups"), { recursive: true, mode: 0o700 });
  await mkdir(join(project, STATE_FOLDER), { recursive: true, mode: 0o700 });
  if (environment.PULUMI_CONFIG_PASSPHRASE !== undefined) return;
  const file = join(project, ".passphrase");
  if (environment.PULUMI_CONFIG_PASSPHRASE_FILE !== file) return;
  if (existsSync(file)) {
    if ((await readFile(file, "utf8")).trim() !== "") return;
    throw new ToolchainError(
      `${file} is empty. Put this stack's passphrase into it, or remove it if there is none yet.`,
    );
  }
  const stacks = await stackNames(project);
  if (stacks.length > 0) {
    throw new ToolchainError(
      `${file} is missing, but there are stacks whose secrets it unlocks (${stacks.join(", ")} in ${STATE_FOLDER}). ` +
        "Put it back from your backup or set PULUMI_CONFIG_PASSPHRASE, and run the same command again.",
    );
  }
  const stackFile = `Pulumi.${STACK}.yaml`;
  if (/^encryptionsalt:/m.test(await readFile(join(project, stackFile), "utf8").catch(() => ""))) {
    throw new ToolchainError(
      `${stackFile} has settings that a passphrase locks, and ${file} is missing. Put that passphrase there, or remove the ` +
        `line "encryptionsalt" and every "secure" value from ${stackFile} to begin anew.`,
    );
  }
  await writeFile(file, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
  say(`Made ${file}, which unlocks this stack's secrets. Keep a copy of it in a safe place.`);
}

/** The stacks of the local state. */
export async function stackNames(project: string): Promise<string[]> {
  const folder = join(project, STATE_FOLDER, ".pulumi", "stacks");
  const files = await readdir(folder, { recursive: true }).catch(() => []);
  return files
    .filter(file => /\.json(\.gz|\.zst)?$/.test(file))
    .map(file => file.replace(/\.json(\.gz|\.zst)?$/, ""));
}
