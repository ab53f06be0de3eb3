import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { publishNew, syncDirectory } from "../../shared/file-systems.ts";
import { partialPath, replaceFile } from "../base/durable-file.ts";
import { fileExists } from "../base/file-exists.ts";
import { hashFile, sha256Of } from "../base/hashing.ts";
import { manifestName } from "./backup-name.ts";
import { readManifestKey } from "./key.ts";
import { isAuthentic, signed } from "./mac.ts";
import { type Manifest, manifestText, readManifest } from "./manifest.ts";

/**
 * A manifest lies under a hidden name before its dump gets its final name, and gets its own final name after it. So a kill in
 * between leaves the dump together with all that is known of it, signed. A manifest that was made for a file that merely lies
 * there would say that this stack's agent wrote it, and nobody could know that.
 */
export async function writePending(settings: AgentSettings, manifest: Manifest): Promise<void> {
  await replaceFile(pendingPath(settings, manifest.file), manifestText(manifest));
}

/** Gives the manifest its final name; refuses a name that exists. */
export async function publishPending(settings: AgentSettings, file: string): Promise<void> {
  await publishNew(pendingPath(settings, file), join(settings.backupDir, manifestName(file) as string));
  await syncDirectory(settings.backupDir);
}

export async function discardPending(settings: AgentSettings, file: string): Promise<void> {
  await rm(pendingPath(settings, file), { force: true });
}

/** Hidden manifests of this stack. While a backup is at work, one is that backup's. */
export async function pendingNames({ backupDir, stack }: AgentSettings): Promise<string[]> {
  const pattern = /^budgie_\d{8}_\d{6}\.json$/;
  const prefix = prefixOf(stack);
  return (await readdir(backupDir)).filter(
    name => name.startsWith(prefix) && pattern.test(name.slice(prefix.length)),
  );
}

/**
 * Finishes the backups that were killed between their dump's final name and their manifest's: reads the dump again, and publishes
 * the manifest if it is of these very bytes. Returns the dumps' names. Removes the manifest of a dump that never got its name.
 * Only under the lock, and before the other leftovers are removed: the roles may still lie among them.
 */
export async function finishPending(settings: AgentSettings): Promise<string[]> {
  const finished: string[] = [];
  for (const name of await pendingNames(settings)) {
    const manifest = await wholeBackup(settings, name);
    if (manifest === null) {
      await rm(join(settings.backupDir, name), { force: true });
      continue;
    }
    const complete = await withGlobals(settings, manifest);
    if (complete !== manifest) await writePending(settings, complete);
    await publishPending(settings, manifest.file);
    finished.push(manifest.file);
  }
  return finished;
}

/** The manifest, if it is this stack's own, its dump is whole, and has no other manifest. */
async function wholeBackup(settings: AgentSettings, pending: string): Promise<Manifest | null> {
  const { backupDir } = settings;
  const reading = await readManifest(join(backupDir, pending));
  if (!reading.found || !isAuthentic(await readManifestKey(settings), reading.json)) return null;
  const { record: manifest } = reading;
  const name = manifestName(manifest.file);
  if (name === null || pending !== `${prefixOf(settings.stack)}${name}`) return null;
  const taken = await stat(join(backupDir, name)).catch(() => null);
  if (taken && taken.size > 0) return null;
  // The name that was taken for it: see `publishNew`.
  if (taken) await rm(join(backupDir, name));
  const dump = join(backupDir, manifest.file);
  if ((await stat(dump).catch(() => null))?.size !== manifest.bytes) return null;
  return (await hashFile(dump)).sha256 === manifest.sha256 ? manifest : null;
}

/** Publishes the roles where the kill came before that. Where they are lost, the manifest is one without them. */
async function withGlobals(settings: AgentSettings, manifest: Manifest): Promise<Manifest> {
  const { globals } = manifest;
  if (!globals) return manifest;
  const final = join(settings.backupDir, globals.file);
  const partial = partialPath(settings.backupDir, settings.stack, globals.file);
  if (await isOf(globals.sha256, partial)) {
    if ((await stat(final).catch(() => null))?.size === 0) await rm(final);
    if (!(await fileExists(final))) await publishNew(partial, final);
  }
  if (await isOf(globals.sha256, final)) return manifest;
  return signed(await readManifestKey(settings), { ...manifest, globals: null });
}

async function isOf(sha256: string, path: string): Promise<boolean> {
  const content = await readFile(path).catch(() => null);
  return content !== null && sha256Of(content) === sha256;
}

function prefixOf(stack: string): string {
  return `.pending-${stack}-`;
}

function pendingPath({ backupDir, stack }: AgentSettings, file: string): string {
  return join(backupDir, `${prefixOf(stack)}${manifestName(file)}`);
}
