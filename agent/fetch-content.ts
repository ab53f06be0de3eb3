import { decrypted } from "./decryption.ts";
import { download, type RemoteFile } from "./download.ts";
import { ENCRYPTED } from "./encryption.ts";
import type { ObjectStore } from "./object-store.ts";

/** An object's content, decrypted where it is encrypted with what the store's reader gave. Throws a Stop, as both do. */
export function fetchContent(store: ObjectStore, file: RemoteFile): AsyncGenerator<Buffer> {
  const bytes = download(store, file);
  return isEncryptedName(file.key) ? decrypted(bytes, store.identities, `${store.shown}/${file.key}`) : bytes;
}

/** A small object's whole text. Throws a Stop. */
export async function fetchText(store: ObjectStore, file: RemoteFile): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of fetchContent(store, file)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

export function isEncryptedName(name: string): boolean {
  return name.endsWith(ENCRYPTED);
}
