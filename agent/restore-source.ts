import { createReadStream, createWriteStream } from "node:fs";
import { open, readdir, stat, unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type BackupSource, findBackup } from "./backup-source.ts";
import { decrypted, decryptedIfNeeded, isAge } from "./decryption.ts";
import { describeObject, type RemoteFile } from "./download.ts";
import { keepReserve, requireSpace } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { fetchContent, fetchText } from "./fetch-content.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { manifestKeyBeside } from "./object-key.ts";
import type { ObjectStore } from "./object-store.ts";
import { type Recovery, recoverSource } from "./recover.ts";
import { refuse } from "./refuse.ts";
import type { Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";

/** What a restore reads, and what is done with it afterwards. */
export type RestoreSource = BackupSource & {
  /** As messages name it. */
  shown: string;
  discard(): Promise<void>;
};

export interface SourceOptions {
  /** A backup's name, `latest`, a path inside the agent, `-` for standard input, or `s3://BUCKET/KEY`. */
  source: string;
  stdin: Readable;
  /** With credentials that may read the bucket of an `s3://` source; null for every other one. */
  reader: ObjectStore | null;
  /** The private keys that open what is encrypted; the reader has its own. */
  identities: readonly string[];
  /** The moment to go back to instead of `source`, which then only names it. */
  recovery?: Recovery;
}

/** The bucket and the key of `s3://BUCKET/KEY`; null for anything else. */
export function parseObjectUrl(source: string): { bucket: string; key: string } | null {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(source) ?? [];
  return bucket && key ? { bucket, key } : null;
}

/** Finds or fetches what is to be restored. Throws a Stop. Only for whoever holds the lock. */
export async function openRestoreSource(
  settings: AgentSettings,
  { source, stdin, reader, identities, recovery }: SourceOptions,
  report: Reporter,
): Promise<RestoreSource> {
  if (recovery) return recoverSource(settings, recovery, report);
  if (source === "-") return receiveStdin(settings, stdin, identities);
  const object = parseObjectUrl(source);
  if (object && reader) return receiveObject(settings, reader, object.key, report);
  const found = await findBackup(settings, source);
  const inDirectory = found.path === join(settings.backupDir, found.name);
  const shown = inDirectory ? `${settings.backupDirShown}/${found.name}` : found.path;
  if (await isEncryptedFile(found.path)) {
    const chunks = decrypted(createReadStream(found.path, { highWaterMark: 1 << 20 }), identities, shown);
    const { size } = await stat(found.path);
    const received = await receive(settings, Readable.from(chunks, { objectMode: false }), shown, size);
    return { name: found.name, shown, manifest: null, ...received };
  }
  return { ...found, shown, discard: async () => undefined };
}

async function isEncryptedFile(path: string): Promise<boolean> {
  const file = await open(path, "r").catch(() => null);
  // What is not there is told by whoever reads it.
  if (!file) return false;
  try {
    const head = Buffer.alloc(64);
    await file.read(head, 0, head.length, 0);
    return isAge(head);
  } finally {
    await file.close();
  }
}

async function receiveStdin(
  settings: AgentSettings,
  stdin: Readable,
  identities: readonly string[],
): Promise<RestoreSource> {
  const shown = "standard input";
  const incoming = Readable.from(decryptedIfNeeded(stdin, identities, shown), { objectMode: false });
  return { name: shown, shown, manifest: null, ...(await receive(settings, incoming, shown, 0)) };
}

/** Any object of any bucket, with the manifest beside it where there is one. */
async function receiveObject(
  settings: AgentSettings,
  reader: ObjectStore,
  key: string,
  report: Reporter,
): Promise<RestoreSource> {
  const file = await describeObject(reader, key);
  const manifest = await manifestBeside(reader, key);
  const shown = `${reader.shown}/${key}`;
  const progress = report.progress("fetching", file.bytes);
  const received = await receive(settings, watched(reader, file, progress.at), shown, file.bytes).finally(
    () => progress.end(),
  );
  return { name: manifest?.file ?? basename(key), shown, manifest, ...received };
}

function watched(reader: ObjectStore, file: RemoteFile, at: (bytes: number) => void): Readable {
  const chunks = async function* () {
    let bytes = 0;
    for await (const chunk of fetchContent(reader, file)) {
      bytes += chunk.length;
      at(bytes);
      yield chunk;
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}

/** A manifest that is there and cannot be read is not the same as none: what it would have said is unknown. */
async function manifestBeside(reader: ObjectStore, key: string): Promise<Manifest | null> {
  const beside = manifestKeyBeside(key);
  const file = beside === null ? null : await describeObject(reader, beside).catch(unlessMissing);
  if (!file) return null;
  const reading = parseManifest(await fetchText(reader, file));
  if (reading.found) return reading.manifest;
  throw refuse(`The manifest ${reader.shown}/${beside} cannot be read: ${reading.detail}`);
}

/**
 * What comes is kept in a hidden file until the restore ends, because it is read twice: once to refuse, once to load. Under
 * the lock, so what an earlier, killed restore left there is nobody's.
 */
async function receive(
  settings: AgentSettings,
  incoming: Readable,
  shown: string,
  bytes: number,
): Promise<Pick<RestoreSource, "path" | "discard">> {
  const prefix = `.incoming-${settings.stack}-`;
  for (const name of await readdir(settings.backupDir)) {
    if (name.startsWith(prefix)) await unlink(join(settings.backupDir, name));
  }
  await requireSpace(settings.backupDir, settings.backupDirShown, bytes);
  const path = join(settings.backupDir, `${prefix}${Date.now()}`);
  const discard = () => unlink(path).catch(() => undefined);
  try {
    const handle = await open(path, "wx", 0o600);
    await handle.close();
    await pipeline(
      incoming,
      keepReserve(settings.backupDir, settings.backupDirShown),
      createWriteStream(path, { highWaterMark: 1 << 20 }),
    );
  } catch (error) {
    await discard();
    if (error instanceof Stop) throw error;
    throw new Stop(
      EXIT.noSpace,
      `${shown} could not be stored in ${settings.backupDirShown}: ${(error as Error).message}.`,
    );
  }
  return { path, discard };
}

function unlessMissing(error: unknown): null {
  if (error instanceof Stop && error.code === EXIT.unusableBackup) return null;
  throw error;
}
