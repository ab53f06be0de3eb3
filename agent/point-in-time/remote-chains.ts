import { buffer } from "node:stream/consumers";
import type { ObjectStore } from "../../object-store/client.ts";
import { decryptedIfNeeded } from "../encryption/decrypt.ts";
import { ENCRYPTED } from "../encryption/encrypt.ts";
import { describeObject, download, type RemoteFile } from "../store/download.ts";
import { listObjectsBelow, type RemoteObject } from "../store/remote-objects.ts";
import { type BaseRecord, parseBaseRecord } from "./base-record.ts";
import { baseKeys, chainsPrefix, parseChainKey, segmentKey } from "./chain-keys.ts";
import { archiveOf, type ChainSource, damaged, hashed, unseal } from "./chain-source.ts";
import { type ChainContent, parseChainName } from "./wal-chain.ts";
import { parseSealedName } from "./wal-segment.ts";

/** The chains in a bucket, read with credentials that may read. A base backup counts once its record is there. */
export function remoteChains(store: ObjectStore): ChainSource {
  /** The keys of encrypted objects, without their ending. */
  const encryptedKeys = new Set<string>();
  const open = async (key: string) => {
    const object = await describeObject(store, encryptedKeys.has(key) ? `${key}${ENCRYPTED}` : key);
    return readable(store, object);
  };
  return {
    shown: store.shown,
    list: async () => {
      const contents = new Map<string, ChainContent>();
      for (const object of await listObjectsBelow(store, chainsPrefix(store.prefix))) {
        if (object.key.endsWith(ENCRYPTED)) encryptedKeys.add(object.key.slice(0, -ENCRYPTED.length));
        await addTo(contents, store, object);
      }
      return [...contents.values()].sort((a, b) => (a.chain.name < b.chain.name ? -1 : 1));
    },
    base: (chain, base) => fetchBase(open, store, chain, base),
    segment: async ({ chain, sealed }, segment) => {
      const found = sealed.find(other => other.segment === segment);
      if (!found) throw damaged(`the segment ${segment} is not in ${store.shown}`);
      return unseal(await buffer(await open(segmentKey(store.prefix, chain.name, found))), found);
    },
  };
}

async function addTo(
  contents: Map<string, ChainContent>,
  store: ObjectStore,
  object: RemoteObject,
): Promise<void> {
  const name = object.name.endsWith(ENCRYPTED) ? object.name.slice(0, -ENCRYPTED.length) : object.name;
  const key = parseChainKey(name);
  const chain = key && parseChainName(key.chain);
  if (!key || !chain) return;
  const content = contents.get(chain.name) ?? emptyContent(chain);
  contents.set(chain.name, content);
  if (key.part === "wal") {
    const sealed = parseSealedName(key.file);
    if (sealed) content.sealed.push(sealed);
  } else if (key.file.endsWith(".json")) {
    const record = parseBaseRecord((await buffer(readable(store, object))).toString());
    if (record) content.bases.push(record);
  }
}

function emptyContent(chain: ChainContent["chain"]): ChainContent {
  return { chain, bases: [], sealed: [], received: [], partial: null, mark: null };
}

async function* fetchBase(
  open: (key: string) => Promise<AsyncIterable<Uint8Array>>,
  store: ObjectStore,
  { chain }: ChainContent,
  base: BaseRecord,
): AsyncGenerator<Uint8Array> {
  const archive = archiveOf(base);
  const chunks = await open(baseKeys(store.prefix, chain.name, base).of(archive.name));
  yield* hashed(chunks, archive.name, archive.sha256);
}

function readable(store: ObjectStore, object: RemoteFile): AsyncIterable<Uint8Array> {
  return decryptedIfNeeded(download(store, object), store.identities, `${store.shown}/${object.key}`);
}
