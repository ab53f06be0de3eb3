import { isBackupName, manifestName } from "./backup-name.ts";
import { mayBeEncrypted } from "./encryption.ts";
import type { Manifest } from "./manifest.ts";
import { encryptedKeys, parseObjectName } from "./object-key.ts";
import { partialName } from "./ssh-new-file.ts";

/** Every name in the folder on the server, with its size in bytes. */
export type Listing = ReadonlyMap<string, number>;

/** Those that no manifest here says are on the server. */
export function unrecordedCopies(backups: readonly Manifest[], target: string): Manifest[] {
  return backups.filter(({ offsiteSsh }) => offsiteSsh?.target !== target);
}

/** Those, and the ones that were on the server once and are not there now, whole and with their manifest. */
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

/** Of a dump, its roles or its manifest, encrypted or not. */
function isCopysName(name: string): boolean {
  return isBackupName(name.replace(/\.(json|globals\.sql)$/, ".sql")) || parseObjectName(name) !== null;
}

/** Encrypted or not: what was copied before budgie:backupRecipients were set, or unset, is a copy all the same. */
function isListed(manifest: Manifest, listing: Listing): boolean {
  const { file, bytes } = manifest;
  const sealed = encryptedKeys("", manifest);
  const isPlain = listing.get(file) === bytes && listing.has(manifestName(file) as string);
  const isSealed = mayBeEncrypted(listing.get(sealed.dump) ?? 0, bytes) && listing.has(sealed.manifest);
  return isPlain || isSealed;
}
