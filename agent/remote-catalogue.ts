import { WrongIdentity } from "./decryption.ts";
import { mayBeEncrypted } from "./encryption.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { fetchText, isEncryptedName } from "./fetch-content.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { encryptedKeys, type ObjectName, objectKeys, parseObjectName } from "./object-key.ts";
import type { ObjectStore } from "./object-store.ts";
import { listObjects, type RemoteObject } from "./remote-objects.ts";

/** A manifest grows with the number of tables, by some 300 bytes each; what is larger than that is none. */
const LARGEST_MANIFEST = 16 * 1024 * 1024;
const FETCHED_AT_ONCE = 8;
/** The flaw of a backup whose manifest the given identity does not open. */
export const OTHER_KEY = "encrypted to another key than the one that was given";

/** What the store has of one backup, or one object there that is of none. */
export interface RemoteEntry {
  /** The backup's name; the object's where it is of no backup. */
  name: string;
  /** The dump's key; what else is there where there is no dump. */
  key: string;
  bytes: number;
  etag: string | null;
  /** When the dump was put. */
  at: string | null;
  /** When the manifest was put. */
  listedAt: string | null;
  storageClass: string;
  manifest: Manifest | null;
  /** The roles that belong to it; null where there are none. */
  globals: RemoteObject | null;
  /** Only whoever has the private key can read it, and whether it is whole; then the manifest is null, and there is no flaw. */
  unopened: boolean;
  /** Why it does not count as a backup of this stack's; null when it does. */
  flaw: string | null;
}

/** An entry whose dump and manifest are both there and of one piece, be it the stack's own or not. */
export type WholeEntry = RemoteEntry & { manifest: Manifest };

/** Everything under the stack's prefix, newest first, the flawed included: nothing there is passed over in silence. Throws a Stop. */
export async function listRemote(store: ObjectStore, stack: string): Promise<RemoteEntry[]> {
  const pairs = new Map<string, Pair>();
  const strangers: RemoteObject[] = [];
  for (const object of await listObjects(store)) {
    const name = parseObjectName(object.name);
    if (!name) {
      strangers.push(object);
      continue;
    }
    const pair = pairs.get(name.pair) ?? { ...name, dumps: [], globals: null, manifest: null };
    // Listed by name, so what is not encrypted comes first: where both are there, anyone can read it.
    if (name.kind === "json") pair.manifest ??= object;
    else if (name.kind === "globals.sql") pair.globals ??= object;
    else pair.dumps.push(object);
    pairs.set(name.pair, pair);
  }
  const newestFirst = [...pairs.values()].sort((a, b) => (a.pair < b.pair ? 1 : -1));
  const entries = await mapAtOnce(newestFirst, pair => describePair(store, stack, pair));
  return [...entries, ...strangers.map(object => describeObject(object, "not a backup's name"))];
}

export function isWhole(entry: RemoteEntry): entry is WholeEntry {
  return entry.manifest !== null;
}

interface Pair extends ObjectName {
  dumps: RemoteObject[];
  globals: RemoteObject | null;
  manifest: RemoteObject | null;
}

async function describePair(store: ObjectStore, stack: string, pair: Pair): Promise<RemoteEntry> {
  const { manifest: beside, dumps, globals, stem } = pair;
  const dump = dumps[0];
  if (!beside) {
    const flaw = "no manifest: it was not sent to its end";
    return dump
      ? { ...describeObject(dump, flaw), name: nameOf(dump, pair) }
      : describeObject(globals as RemoteObject, "roles without their dump");
  }
  if (!dump) return { ...describeObject(beside, "a manifest without its dump"), name: `${stem}.json` };
  const described = { ...describeObject(dump, ""), name: nameOf(dump, pair), globals, listedAt: beside.at };
  if (dumps.some(other => nameOf(other, pair) !== described.name))
    return { ...described, flaw: "more than one dump has this name" };
  if (isEncryptedName(beside.key) && store.identities.length === 0)
    return { ...described, unopened: true, flaw: null };
  const reading = await readRemoteManifest(store, beside);
  if (!reading.found) {
    const flaw = reading.detail === OTHER_KEY ? OTHER_KEY : `manifest not readable: ${reading.detail}`;
    return { ...described, flaw };
  }
  const { manifest } = reading;
  const broken = mismatch(store, manifest, dump);
  if (broken) return { ...described, flaw: broken };
  return { ...described, manifest, flaw: doesNotCount(stack, manifest) };
}

/** Why a dump and a manifest are not of one piece; null when they are. */
function mismatch(store: ObjectStore, manifest: Manifest, dump: RemoteObject): string | null {
  const encrypted = isEncryptedName(dump.key);
  const { dump: key } = encrypted
    ? encryptedKeys(store.prefix, manifest)
    : objectKeys(store.prefix, manifest);
  if (key !== dump.key) return "its manifest is of another backup";
  if (encrypted && mayBeEncrypted(dump.bytes, manifest.bytes)) return null;
  if (manifest.bytes !== dump.bytes) return `${dump.bytes} bytes, its manifest says ${manifest.bytes}`;
  return null;
}

function doesNotCount(stack: string, manifest: Manifest): string | null {
  if (manifest.stack !== stack) return `of stack ${manifest.stack}`;
  return manifest.identity === "unexpected" ? "of another database" : null;
}

async function readRemoteManifest(store: ObjectStore, object: RemoteObject) {
  const { bytes } = object;
  if (bytes > LARGEST_MANIFEST) return { found: false, detail: `${bytes} bytes are too many` } as const;
  try {
    return parseManifest(await fetchText(store, object));
  } catch (error) {
    const isOwnFault =
      error instanceof WrongIdentity || (error instanceof Stop && error.code === EXIT.unusableBackup);
    if (!isOwnFault) throw error;
    const detail = error instanceof WrongIdentity ? OTHER_KEY : error.message.replace(/\.$/, "");
    return { found: false, detail } as const;
  }
}

/** As it is here, where nothing is encrypted. */
function nameOf(dump: RemoteObject, { stem, pair }: ObjectName): string {
  return `${stem}${dump.name.slice(pair.length)}`.replace(/\.age$/, "");
}

function describeObject(object: RemoteObject, flaw: string): RemoteEntry {
  const { key, name, bytes, etag, at, storageClass } = object;
  return {
    name,
    key,
    bytes,
    etag,
    at,
    listedAt: null,
    storageClass,
    manifest: null,
    globals: null,
    unopened: false,
    flaw,
  };
}

/** Like Promise.all over `items`, in order, but only a few at once. */
async function mapAtOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: FETCHED_AT_ONCE }, worker));
  return results;
}
