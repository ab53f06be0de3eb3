import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ObjectStore } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { silentProgress } from "../base/reporter.ts";
import { encryptedText } from "../encryption/encrypt.ts";
import { changeManifest } from "../manifest/change.ts";
import { readManifestKey } from "../manifest/key.ts";
import type { Manifest, OffsiteCopy } from "../manifest/manifest.ts";
import { textForCopy } from "../manifest/text-for-copy.ts";
import { encryptedKeys, type ObjectKeys, objectKeys } from "../store/object-key.ts";
import { putText, type Sending, upload } from "../store/upload.ts";

/** What is known to be in the store of one backup. */
export interface AlreadyThere {
  /** The key that it is under; null when it is not there. */
  dump: string | null;
  globals: boolean;
  manifest: boolean;
  /** The size of something else under the dump's key; null when there is nothing else. */
  otherBytes: number | null;
}

/**
 * Sends one backup, in this order, each step durable before the next:
 * 1. the dump is in the store, whole and confirmed;
 * 2. the manifest here says where;
 * 3. the roles that belong to the dump are in the store;
 * 4. the manifest is in the store: from now on the backup counts there;
 * 5. the manifest here says so.
 * So a kill at any moment leaves nothing in the store that counts and is not whole, and no record here of what is not there. The
 * next run repeats the step whose record is missing.
 *
 * The store's own manifest says nothing about copies, so that each try sends the same bytes.
 */
export async function sendBackup(sending: Sending, manifest: Manifest, there: AlreadyThere): Promise<void> {
  const { settings, store, report } = sending;
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
      : await upload(sending, keys.dump, local, progress).finally(() => progress.end());
    copy = {
      store: store.shown,
      key: there.dump ?? keys.dump,
      at: new Date().toISOString(),
      ...stored,
      listedAt: null,
    };
    await recordCopy(settings, file, copy);
  }
  if (!there.globals) await sendGlobals(sending, keys.globals, manifest);
  if (!there.manifest) {
    const text = textForCopy(await readManifestKey(settings), manifest);
    await putText(store, keys.manifest, recipients.length > 0 ? await encryptedText(recipients, text) : text);
  }
  await recordCopy(settings, file, { ...copy, listedAt: new Date().toISOString() });
}

/** Where somebody removed them here, the backup is sent without them. */
async function sendGlobals(sending: Sending, key: string, { globals }: Manifest): Promise<void> {
  if (!globals) return;
  const { backupDir, backupDirShown } = sending.settings;
  const { file, bytes, sha256 } = globals;
  const path = join(backupDir, file);
  if (!existsSync(path)) return;
  const shown = `${backupDirShown}/${file}`;
  await upload(sending, key, { path, shown, bytes, sha256 }, silentProgress);
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

async function recordCopy(settings: AgentSettings, file: string, offsite: OffsiteCopy): Promise<void> {
  await changeManifest(settings, file, { offsite }).catch((error: Error) => {
    throw new Stop(
      EXIT.failed,
      `${file} was sent, but that could not be recorded in ${settings.backupDirShown}: ${error.message}.`,
      "Free some space there, then run `npx budgie push`.",
    );
  });
}
