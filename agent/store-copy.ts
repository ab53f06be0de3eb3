import { existsSync } from "node:fs";
import { join } from "node:path";
import { manifestName } from "./backup-name.ts";
import { replaceFile } from "./durable-file.ts";
import { encryptedText } from "./encryption.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { type Manifest, type OffsiteCopy, readManifest } from "./manifest.ts";
import { encryptedKeys, type ObjectKeys, objectKeys } from "./object-key.ts";
import type { ObjectStore } from "./object-store.ts";
import { type Reporter, silentProgress } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { putText, upload } from "./upload.ts";

/** What is known to be in the store of one backup. */
export interface AlreadyThere {
  /** The key that it is under; null when it is not there. */
  dump: string | null;
  globals: boolean;
  manifest: boolean;
  /** How many bytes are under the dump's key when they are not the dump's; null when there are none such. */
  otherBytes: number | null;
}

/**
 * Sends one backup. In this order, each step durable before the next: the dump in the store, whole and confirmed; where it is,
 * in the manifest here; the roles that belong to it; the manifest in the store, from which moment on the backup counts there; that it does, in the manifest
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
  const { recipients } = settings;
  const keys = keysFor(store.prefix, manifest, recipients);
  let copy = copyIn(store, manifest);
  if (!copy || !there.dump) {
    const path = join(settings.backupDir, file);
    const progress = report.progress("sending", bytes);
    const local = { path, shown: `${settings.backupDirShown}/${file}`, bytes, sha256 };
    const stored = there.dump
      ? { etag: null, versionId: null }
      : await upload(store, keys.dump, local, progress, signal, recipients).finally(() => progress.end());
    copy = {
      store: store.shown,
      key: there.dump ?? keys.dump,
      at: new Date().toISOString(),
      ...stored,
      listedAt: null,
    };
    await recordCopy(settings, file, copy);
  }
  if (!there.globals) await sendGlobals(settings, store, keys.globals, manifest, signal);
  if (!there.manifest) await putText(store, keys.manifest, await textForStore(manifest, recipients));
  await recordCopy(settings, file, { ...copy, listedAt: new Date().toISOString() });
}

/** Whoever removed them here has a backup still, which is sent without. */
async function sendGlobals(
  { backupDir, backupDirShown, recipients }: AgentSettings,
  store: ObjectStore,
  key: string,
  { globals }: Manifest,
  signal: AbortSignal,
): Promise<void> {
  if (!globals) return;
  const { file, bytes, sha256 } = globals;
  const path = join(backupDir, file);
  if (!existsSync(path)) return;
  const shown = `${backupDirShown}/${file}`;
  await upload(store, key, { path, shown, bytes, sha256 }, silentProgress, signal, recipients);
}

/** The keys under which a backup is sent now. What was sent before budgie:backupRecipients were set, or others, stays as it is. */
export function keysFor(
  prefix: string,
  manifest: Pick<Manifest, "file" | "sha256">,
  recipients: readonly string[],
): ObjectKeys {
  return recipients.length > 0 ? encryptedKeys(prefix, manifest) : objectKeys(prefix, manifest);
}

/** Where the manifest says that the dump lies in this very store, encrypted or not; null when it does not. */
export function copyIn(store: Pick<ObjectStore, "shown" | "prefix">, manifest: Manifest): OffsiteCopy | null {
  const { offsite } = manifest;
  if (offsite?.store !== store.shown) return null;
  const keys = [objectKeys(store.prefix, manifest).dump, encryptedKeys(store.prefix, manifest).dump];
  return keys.includes(offsite.key) ? offsite : null;
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

/** What the manifest here says of copies is not in theirs, so that it is the same whenever it is sent. */
export function textForCopy(manifest: Manifest): string {
  return textOf({ ...manifest, offsite: null, offsiteSsh: null });
}

export function textOf(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

async function textForStore(manifest: Manifest, recipients: readonly string[]): Promise<string | Buffer> {
  const text = textForCopy(manifest);
  return recipients.length > 0 ? encryptedText(recipients, text) : text;
}
