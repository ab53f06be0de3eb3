import { buffer } from "node:stream/consumers";
import pMap from "p-map";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { WrongIdentity } from "../encryption/decrypt.ts";
import { mayBeEncrypted } from "../encryption/encrypt.ts";
import { changedFlaw, foreignFlaw } from "../manifest/flaw.ts";
import { readManifestKey } from "../manifest/key.ts";
import { type ManifestKey, type Signature, signatureOf } from "../manifest/mac.ts";
import { type Manifest, parseManifest } from "../manifest/manifest.ts";
import { isEncryptedName } from "../store/fetch-content.ts";
import type { ObjectName } from "../store/object-key.ts";
import type { RemoteObject } from "../store/remote-objects.ts";
import type { CopiesPlace } from "./place.ts";

/** A manifest grows with the number of tables, by some 300 bytes each. Anything larger is no manifest. */
const LARGEST_MANIFEST = 16 * 1024 * 1024;
const FETCHED_AT_ONCE = 8;
/** The flaw of a backup whose manifest the given identity does not open. */
export const OTHER_KEY = "encrypted to another key than the one that was given";

/** What a place of copies has of one backup, or one object that belongs to no backup. */
export interface RemoteEntry {
  /** The backup's name, or that of an object that belongs to no backup. */
  name: string;
  /** The dump's key, or that of what else is there. */
  key: string;
  bytes: number;
  etag: string | null;
  /** When the dump was put. */
  at: string | null;
  /** When the manifest was put. */
  listedAt: string | null;
  storageClass: string;
  manifest: Manifest | null;
  /** Whether this stack's agent wrote the manifest, and nobody changed it since. */
  authentic: boolean;
  /** The roles that belong to it; null where there are none. */
  globals: RemoteObject | null;
  /** It is encrypted, and no private key was given. So the manifest is null, and nobody knows of a flaw. */
  unopened: boolean;
  /** Why it does not count as a backup of this stack's; null when it does. */
  flaw: string | null;
}

/** An entry whose dump and manifest are both there and fit together, whichever stack it is of. */
export type WholeEntry = RemoteEntry & { manifest: Manifest };

type Reading = Pick<AgentSettings, "stack" | "manifestKeyFile">;

/** Everything that the place has under the stack's prefix, newest first. Flawed entries are listed too: nothing is passed over in silence. Throws a Stop. */
export async function listRemote(place: CopiesPlace, settings: Reading): Promise<RemoteEntry[]> {
  const pairs = new Map<string, Pair>();
  const strangers: RemoteObject[] = [];
  for (const object of await place.list()) {
    const name = place.parseName(object.name);
    if (!name) {
      strangers.push(object);
      continue;
    }
    const pair = pairs.get(name.pair) ?? { ...name, dumps: [], globals: null, manifest: null };
    // The list is in order of names, so plain objects come before encrypted ones. Where both are there, anyone can read the content.
    if (name.kind === "json") pair.manifest ??= object;
    else if (name.kind === "globals.sql") pair.globals ??= object;
    else pair.dumps.push(object);
    pairs.set(name.pair, pair);
  }
  const newestFirst = [...pairs.values()].sort((a, b) => (a.pair < b.pair ? 1 : -1));
  const key = await readManifestKey(settings);
  const entries = await pMap(newestFirst, pair => describePair(place, settings.stack, key, pair), {
    concurrency: FETCHED_AT_ONCE,
  });
  return [...entries, ...strangers.map(object => entryOf(object, "not a backup's name"))];
}

export function isWhole(entry: RemoteEntry): entry is WholeEntry {
  return entry.manifest !== null;
}

interface Pair extends ObjectName {
  dumps: RemoteObject[];
  globals: RemoteObject | null;
  manifest: RemoteObject | null;
}

async function describePair(
  place: CopiesPlace,
  stack: string,
  key: ManifestKey,
  pair: Pair,
): Promise<RemoteEntry> {
  const { manifest: beside, dumps, globals, stem } = pair;
  const dump = dumps[0];
  if (!beside) {
    const flaw = "no manifest: it was not sent to its end";
    return dump
      ? { ...entryOf(dump, flaw), name: nameOf(dump, pair) }
      : entryOf(globals as RemoteObject, "roles without their dump");
  }
  if (!dump) return { ...entryOf(beside, "a manifest without its dump"), name: `${stem}.json` };
  const described = { ...entryOf(dump, ""), name: nameOf(dump, pair), globals, listedAt: beside.at };
  if (dumps.some(other => nameOf(other, pair) !== described.name))
    return { ...described, flaw: "more than one dump has this name" };
  if (isEncryptedName(beside.key) && place.identities.length === 0)
    return { ...described, unopened: true, flaw: null };
  const reading = await readRemoteManifest(place, beside);
  if (!reading.found) {
    const flaw = reading.detail === OTHER_KEY ? OTHER_KEY : `manifest not readable: ${reading.detail}`;
    return { ...described, flaw };
  }
  const { record: manifest, json } = reading;
  const broken = mismatch(place, manifest, dump);
  if (broken) return { ...described, flaw: broken };
  const signature = signatureOf(key, json);
  const authentic = signature === "right";
  return { ...described, manifest, authentic, flaw: doesNotCount(stack, manifest, signature) };
}

/** Why a dump and a manifest do not fit together; null when they do. */
function mismatch(place: CopiesPlace, manifest: Manifest, dump: RemoteObject): string | null {
  const encrypted = isEncryptedName(dump.key);
  if (place.keyOf(manifest, encrypted) !== dump.key) return "its manifest is of another backup";
  if (encrypted && mayBeEncrypted(dump.bytes, manifest.bytes)) return null;
  if (manifest.bytes !== dump.bytes) return `${dump.bytes} bytes, its manifest says ${manifest.bytes}`;
  return null;
}

function doesNotCount(stack: string, manifest: Manifest, signature: Signature): string | null {
  if (manifest.stack !== stack) return ofStack(manifest.stack);
  const changed = changedFlaw(signature);
  if (changed) return changed;
  return manifest.identity === "unexpected" ? "of another database" : foreignFlaw(signature);
}

/** The flaw of a backup that is another stack's. */
export function ofStack(stack: string): string {
  return `of stack ${stack}`;
}

async function readRemoteManifest(place: CopiesPlace, object: RemoteObject) {
  const { bytes } = object;
  if (bytes > LARGEST_MANIFEST) return { found: false, detail: `${bytes} bytes are too many` } as const;
  try {
    return parseManifest((await buffer(place.content(object))).toString());
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

function entryOf(object: RemoteObject, flaw: string): RemoteEntry {
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
    authentic: false,
    globals: null,
    unopened: false,
    flaw,
  };
}
