import { isStateName } from "../../shared/kept-state.ts";
import { mayBeEncrypted } from "../encryption/encrypt.ts";
import { isBackupName, manifestName } from "../manifest/backup-name.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { encryptedKeys, parseObjectName } from "../store/object-key.ts";
import { partialName } from "./new-file.ts";

/** Every name in the folder on the server, with its size in bytes. */
export type Listing = ReadonlyMap<string, number>;

/** The backups that, by their manifests here, are not on the server. */
export function unrecordedCopies(backups: readonly Manifest[], target: string): Manifest[] {
  return backups.filter(({ offsiteSsh }) => offsiteSsh?.target !== target);
}

/** Those, and the ones that are no longer on the server, whole and with their manifest. */
export function missingCopies(backups: readonly Manifest[], listing: Listing, target: string): Manifest[] {
  const unrecorded = unrecordedCopies(backups, target);
  return backups.filter(backup => unrecorded.includes(backup) || !isListed(backup, listing));
}

/** Half-written files of this stack's earlier runs. */
export function leftovers(listing: Listing, stack: string): string[] {
  const prefix = partialName(stack, "");
  return [...listing.keys()].filter(
    name => name.startsWith(prefix) && isCopysName(name.slice(prefix.length)),
  );
}

/** Of a dump, its roles or its manifest, or of the stack's state, encrypted or not. */
function isCopysName(name: string): boolean {
  if (isStateName(name.replace(/\.age$/, ""))) return true;
  return isBackupName(name.replace(/\.(json|globals\.sql)$/, ".sql")) || parseObjectName(name) !== null;
}

/** Encrypted or not: what was copied before budgie:backupRecipients were set, or unset, is a copy all the same. */
export function isListed(manifest: Manifest, listing: Listing): boolean {
  const { file, bytes } = manifest;
  const sealed = encryptedKeys("", manifest);
  const isPlain = listing.get(file) === bytes && listing.has(manifestName(file) as string);
  const isSealed = mayBeEncrypted(listing.get(sealed.dump) ?? 0, bytes) && listing.has(sealed.manifest);
  return isPlain || isSealed;
}
