import { buffer } from "node:stream/consumers";
import type { ObjectStore } from "../../object-store/client.ts";
import { decrypted } from "../encryption/decrypt.ts";
import { ENCRYPTED } from "../encryption/encrypt.ts";
import { download, type RemoteFile } from "./download.ts";

/** An object's content. An encrypted one is opened with the keys that came with the reader's credentials. Throws a Stop, as both steps do. */
export function fetchContent(store: ObjectStore, file: RemoteFile): AsyncGenerator<Buffer> {
  const bytes = download(store, file);
  return isEncryptedName(file.key) ? decrypted(bytes, store.identities, `${store.shown}/${file.key}`) : bytes;
}

/** A small object's whole text. Throws a Stop. */
export async function fetchText(store: ObjectStore, file: RemoteFile): Promise<string> {
  return (await buffer(fetchContent(store, file))).toString();
}

export function isEncryptedName(name: string): boolean {
  return name.endsWith(ENCRYPTED);
}
