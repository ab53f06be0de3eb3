import { mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isLocal } from "../../engine/address.ts";
import { engineClient } from "../../engine/client.ts";
import type { Engine } from "../../engine/find-engine.ts";
import type { BackupFormat } from "../../shared/backup-format.ts";
import { describeLack, probeDirectory } from "../../shared/directory-probe.ts";
import { LABEL, labelledAs } from "../../shared/labels.ts";
import type { Role } from "../../shared/names.ts";

/**
 * Makes the directory where it is missing. This program does it, so that the directory belongs to the operator and is
 * closed to others; an engine would make it as root, open to all. Throws, with what to type.
 */
export function createBackupDirectory(engine: Engine, path: string): void {
  if (!isLocal(engine.host)) return;
  const next = "\n  npm run pulumi -- config set budgie:backupDir ANOTHER_FOLDER";
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(
      `The backup directory ${path} cannot be made (${(error as NodeJS.ErrnoException).code}).${next}`,
    );
  }
  if (!statSync(path).isDirectory()) throw new Error(`The backup directory ${path} is not a folder.${next}`);
}

/** What says only that this user may not write there. The agent may, and looks again when it is there. */
const NOT_ALLOWED = ["EACCES", "EPERM"];

/**
 * Does in the directory what a backup does there. Throws, with what to type, when it cannot be done. It looks from this machine, so
 * the agent looks again from its container, as soon as that runs.
 */
export async function requireUsableDirectory(
  engine: Engine,
  path: string,
  written: string,
  format: BackupFormat,
): Promise<void> {
  if (!isLocal(engine.host)) return;
  // Only root gives files away.
  const asRoot = process.getuid?.() === 0;
  const lack = await probeDirectory(path, asRoot ? format : "sql");
  if (lack === null || (!asRoot && NOT_ALLOWED.includes(lack.code))) return;
  const { says, next } = describeLack(written, lack);
  throw new Error([`${says} Nothing was changed.`, ...next.map(line => `  ${line}`)].join("\n"));
}

/**
 * Says which other stack on the engine keeps its backups in this directory. Two stacks may have the same name: two
 * checkouts may both have a `dev`. Each would take the other's backups for its own, prune them, and restore them.
 */
export async function sharedDirectoryProblem(
  engine: Engine,
  namePrefix: string,
  path: string,
): Promise<string | undefined> {
  if (!engine.reachable) return undefined;
  const place = isLocal(engine.host) ? withoutLinks : (path: string) => path;
  const label = [labelledAs(LABEL.role, "backup-agent" satisfies Role)];
  const agents = await engineClient(engine.host).listContainers({ all: true, filters: { label } });
  const other = agents.find(
    ({ Labels: labels }) =>
      labels[LABEL.prefix] !== namePrefix && place(labels[LABEL.backupDir] ?? "") === place(path),
  );
  if (!other) return undefined;
  return [
    `The backup directory ${path} is that of the stack ${other.Labels[LABEL.stack]} (${other.Labels[LABEL.prefix]}) on this container engine. Nothing was changed.`,
    "Give this stack one of its own:",
    `  npm run pulumi -- config set budgie:backupDir ./backups-${namePrefix}`,
  ].join("\n");
}

export function isSameFolder(one: string, other: string): boolean {
  return withoutLinks(one) === withoutLinks(other);
}

/**
 * Two paths to one folder are one folder. A path that does not exist yet is resolved by the nearest folder above it that
 * does.
 */
function withoutLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(withoutLinks(above), basename(path));
  }
}
