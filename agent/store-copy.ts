import { join } from "node:path";
import { manifestName } from "./backup-name.ts";
import { replaceFile } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { type Manifest, type OffsiteCopy, readManifest } from "./manifest.ts";
import { objectKeys } from "./object-key.ts";
import type { ObjectStore } from "./object-store.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { putText, upload } from "./upload.ts";

/** What is known to be in the store of one backup. */
export interface AlreadyThere {
  dump: boolean;
  manifest: boolean;
  /** How many bytes are under the dump's key when they are not the dump's; null when there are none such. */
  otherBytes: number | null;
}

/**
 * Sends one backup. In this order, each step durable before the next: the dump in the store, whole and confirmed; where it is,
 * in the manifest here; the manifest in the store, from which moment on the backup counts there; that it does, in the manifest
 * here. So a kill at any moment leaves in the store nothing that counts and is not whole, and here no record of what is not
 * there; the next run repeats the step whose record is missing.
 *
 * The store's own manifest says nothing about copies: the same bytes are sent at each try.
 */
export async function sendBackup(
  settings: AgentSettings,
  store: ObjectStore,
  manifest: Manifest,
  there: AlreadyThere,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const { file, bytes, sha256 } = manifest;
  const keys = objectKeys(store.prefix, manifest);
  let copy = copyIn(store, manifest);
  if (!copy || !there.dump) {
    const path = join(settings.backupDir, file);
    const progress = report.progress("sending", bytes);
    const local = { path, shown: `${settings.backupDirShown}/${file}`, bytes, sha256 };
    const stored = there.dump
      ? { etag: null, versionId: null }
      : await upload(store, keys.dump, local, progress, signal).finally(() => progress.end());
    copy = { store: store.shown, key: keys.dump, at: new Date().toISOString(), ...stored, listedAt: null };
    await recordCopy(settings, file, copy);
  }
  if (!there.manifest) await putText(store, keys.manifest, textForStore(manifest));
  await recordCopy(settings, file, { ...copy, listedAt: new Date().toISOString() });
}

/** Where the manifest says that the dump lies in this very store; null when it does not. */
export function copyIn(store: Pick<ObjectStore, "shown" | "prefix">, manifest: Manifest): OffsiteCopy | null {
  const { offsite } = manifest;
  if (offsite?.store !== store.shown || offsite.key !== objectKeys(store.prefix, manifest).dump) return null;
  return offsite;
}

/** Read anew: sending took its time, and a copy over ssh is recorded in the same file. */
async function recordCopy(settings: AgentSettings, file: string, offsite: OffsiteCopy): Promise<void> {
  const path = join(settings.backupDir, manifestName(file) as string);
  const reading = await readManifest(path);
  if (!reading.found) return;
  await replaceFile(path, textOf({ ...reading.manifest, offsite })).catch((error: Error) => {
    throw new Stop(
      EXIT.failed,
      `${file} was sent, but that could not be recorded in ${settings.backupDirShown}: ${error.message}.`,
      "Free some space there, then run `npx budgie push`.",
    );
  });
}

export function textOf(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function textForStore(manifest: Manifest): string {
  return textOf({ ...manifest, offsite: null, offsiteSsh: null });
}
