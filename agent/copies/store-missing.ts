import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { ObjectStore } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { backupsToCopy } from "../catalogue/backups-to-copy.ts";
import { mayBeEncrypted } from "../encryption/encrypt.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { encryptedKeys, type ObjectKeys, objectKeys } from "../store/object-key.ts";
import { changeOffsiteState, readOffsiteState } from "./offsite-state.ts";
import { type AlreadyThere, copyIn } from "./store-copy.ts";

/** What a store lists: its keys, and how many bytes are under each. */
export type Listed = ReadonlyMap<string, number>;

/** A backup that the store lacks, or is not known to have. */
export interface MissingBackup {
  manifest: Manifest;
  there: AlreadyThere;
  /** Why it is not sent as it is; null when it is to be sent. */
  whySetAside: string | null;
}

/**
 * The backups that the store lacks, newest first: by what it lists, or where that is not known (null) by what the manifests
 * here record.
 */
export async function missingBackups(
  settings: AgentSettings,
  store: Pick<ObjectStore, "shown" | "prefix">,
  listed: Listed | null,
): Promise<MissingBackup[]> {
  const missing: MissingBackup[] = [];
  for (const manifest of await backupsToCopy(settings)) {
    const recorded = copyIn(store, manifest);
    const isListed = Boolean(recorded?.listedAt);
    const there = listed
      ? thereByListing(listed, store.prefix, manifest)
      : { dump: recorded?.key ?? null, globals: isListed, manifest: isListed, otherBytes: null };
    if (isListed && there.dump !== null && there.manifest) continue;
    missing.push({ manifest, there, whySetAside: await whySetAside(settings, manifest.file, there, listed) });
  }
  return missing;
}

/** Remembers that a backup is not to be sent as it is now, and the key that a listing must show for as long. */
export async function setAside(
  settings: AgentSettings,
  name: string,
  mark: { key: string; why: string },
): Promise<void> {
  const others = (await readOffsiteState(settings)).setAside.filter(other => other.name !== name);
  const entry = { name, changedAt: await changedAt(settings, name), ...mark };
  await changeOffsiteState(settings, { setAside: [...others, entry] });
}

/** Encrypted or not: what was sent before budgie:backupRecipients were set, or unset, is a copy all the same. */
function thereByListing(listed: Listed, prefix: string, manifest: Manifest): AlreadyThere {
  const [plain, sealed] = [objectKeys(prefix, manifest), encryptedKeys(prefix, manifest)];
  const { bytes } = manifest;
  const [plainBytes, sealedBytes] = [listed.get(plain.dump), listed.get(sealed.dump)];
  const isThere = (kind: keyof ObjectKeys) => listed.has(plain[kind]) || listed.has(sealed[kind]);
  const others = { globals: isThere("globals"), manifest: isThere("manifest") };
  if (plainBytes === bytes) return { ...others, dump: plain.dump, otherBytes: null };
  if (sealedBytes !== undefined && mayBeEncrypted(sealedBytes, bytes))
    return { ...others, dump: sealed.dump, otherBytes: null };
  return { ...others, dump: null, otherBytes: plainBytes ?? sealedBytes ?? null };
}

/** A mark counts until the file changes, or until a listing shows that its key is free. */
async function whySetAside(
  settings: AgentSettings,
  name: string,
  there: AlreadyThere,
  listed: Listed | null,
): Promise<string | null> {
  if (there.otherBytes !== null)
    return `the store has something else under its key, of ${there.otherBytes} bytes`;
  const mark = (await readOffsiteState(settings)).setAside.find(candidate => candidate.name === name);
  if (!mark || (listed && !listed.has(mark.key))) return null;
  return mark.changedAt === (await changedAt(settings, name)) ? mark.why : null;
}

async function changedAt(settings: AgentSettings, name: string): Promise<string> {
  return (await stat(join(settings.backupDir, name))).mtime.toISOString();
}
