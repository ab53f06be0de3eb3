import { createReadStream } from "node:fs";
import { open, stat, unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ObjectStore } from "../../object-store/client.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { explainWrite, keepReserve, requireSpace } from "../base/durable-file.ts";
import { countInto, watched } from "../base/passing-bytes.ts";
import { refuse } from "../base/refuse.ts";
import type { Reporter } from "../base/reporter.ts";
import { type BackupSource, findBackup, type RestoreSource } from "../catalogue/backup-source.ts";
import { decrypted, decryptedIfNeeded, isAge } from "../encryption/decrypt.ts";
import { readManifestKey } from "../manifest/key.ts";
import { isAuthentic } from "../manifest/mac.ts";
import { parseManifest } from "../manifest/manifest.ts";
import { incomingPath } from "../operation/leftovers.ts";
import { type Recovery, recoverSource } from "../point-in-time/recover.ts";
import { describeObject } from "../store/download.ts";
import { fetchContent, fetchText } from "../store/fetch-content.ts";
import { manifestKeyBeside } from "../store/object-key.ts";

export interface SourceOptions {
  /** A backup's name, `latest`, a path inside the agent, `-` for standard input, or `s3://BUCKET/KEY`. */
  source: string;
  stdin: Readable;
  /** What messages call standard input, or a file at a path inside the agent: the path that the operator typed. */
  shown?: string | undefined;
  /** With credentials that may read the bucket of an `s3://` source; null for every other one. */
  reader: ObjectStore | null;
  /** The private keys that open what is encrypted; the reader has its own. */
  identities: readonly string[];
  /** The moment to go back to instead of `source`, which then only names it. */
  recovery?: Recovery;
}

/** What is known of a source's content before it is read. */
type Recorded = Pick<BackupSource, "manifest" | "authentic">;

const NO_MANIFEST: Recorded = { manifest: null, authentic: false };

/** The bucket and the key of `s3://BUCKET/KEY`; null for anything else. */
export function parseObjectUrl(source: string): { bucket: string; key: string } | null {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(source) ?? [];
  return bucket && key ? { bucket, key } : null;
}

/** Runs `work` with what is to be restored, and removes what was fetched for it. Only for whoever holds the lock. */
export async function withRestoreSource<T>(
  settings: AgentSettings,
  options: SourceOptions,
  report: Reporter,
  work: (source: RestoreSource) => Promise<T>,
): Promise<T> {
  const source = await openRestoreSource(settings, options, report);
  try {
    return await work(source);
  } finally {
    await source.discard();
  }
}

/** Finds or fetches what is to be restored. Throws a Stop. Only for whoever holds the lock. */
export async function openRestoreSource(
  settings: AgentSettings,
  { source, stdin, shown: typed, reader, identities, recovery }: SourceOptions,
  report: Reporter,
): Promise<RestoreSource> {
  if (recovery) return recoverSource(settings, recovery, report);
  if (source === "-") return receiveStdin(settings, stdin, identities, typed);
  const object = parseObjectUrl(source);
  if (object && reader) return receiveObject(settings, reader, object.key, report);
  const found = await findBackup(settings, source);
  const inDirectory = found.path === join(settings.backupDir, found.name);
  const shown = inDirectory ? `${settings.backupDirShown}/${found.name}` : (typed ?? found.path);
  if (await isEncryptedFile(found.path)) {
    const chunks = decrypted(createReadStream(found.path, { highWaterMark: 1 << 20 }), identities, shown);
    const { size } = await stat(found.path);
    const received = await receive(settings, Readable.from(chunks, { objectMode: false }), shown, size);
    return { name: found.name, shown, ...NO_MANIFEST, ...received };
  }
  return { ...found, shown, discard: async () => undefined };
}

async function isEncryptedFile(path: string): Promise<boolean> {
  const file = await open(path, "r").catch(() => null);
  // Whoever reads the file says that it is not there.
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
  shown = "standard input",
): Promise<RestoreSource> {
  const incoming = Readable.from(decryptedIfNeeded(stdin, identities, shown), { objectMode: false });
  return { name: shown, shown, ...NO_MANIFEST, ...(await receive(settings, incoming, shown, 0)) };
}

/** Any object of any bucket, with the manifest beside it where there is one. */
async function receiveObject(
  settings: AgentSettings,
  reader: ObjectStore,
  key: string,
  report: Reporter,
): Promise<RestoreSource> {
  const file = await describeObject(reader, key);
  const beside = await manifestBeside(settings, reader, key);
  const shown = `${reader.shown}/${key}`;
  const progress = report.progress("fetching", file.bytes);
  const content = watched(fetchContent(reader, file), countInto(progress));
  const incoming = Readable.from(content, { objectMode: false });
  const received = await receive(settings, incoming, shown, file.bytes).finally(() => progress.end());
  return { name: beside.manifest?.file ?? basename(key), shown, ...beside, ...received };
}

/** A manifest that cannot be read is not the same as none: what it would have said is unknown. */
async function manifestBeside(settings: AgentSettings, reader: ObjectStore, key: string): Promise<Recorded> {
  const beside = manifestKeyBeside(key);
  const file = beside === null ? null : await describeObject(reader, beside).catch(unlessMissing);
  if (!file) return NO_MANIFEST;
  const reading = parseManifest(await fetchText(reader, file));
  if (reading.found) {
    const { record: manifest, json } = reading;
    return { manifest, authentic: isAuthentic(await readManifestKey(settings), json) };
  }
  throw refuse(`The manifest ${reader.shown}/${beside} cannot be read: ${reading.detail}`);
}

/**
 * Keeps what comes in a hidden file until the restore ends, because it is read twice: once to refuse, once to load. Only
 * under the lock.
 */
async function receive(
  settings: AgentSettings,
  incoming: Readable,
  shown: string,
  bytes: number,
): Promise<Pick<RestoreSource, "path" | "discard">> {
  await requireSpace(settings.backupDir, settings.backupDirShown, bytes);
  const path = incomingPath(settings);
  const discard = () => unlink(path).catch(() => undefined);
  try {
    // A stream that opens its file itself may do so after the failure, and leave an empty file behind.
    const file = await open(path, "wx", 0o600);
    await pipeline(
      incoming,
      keepReserve(settings.backupDir, settings.backupDirShown),
      file.createWriteStream({ highWaterMark: 1 << 20 }),
    );
  } catch (error) {
    await discard();
    throw explainWrite(error, shown, settings.backupDirShown);
  }
  return { path, discard };
}

function unlessMissing(error: unknown): null {
  if (error instanceof Stop && error.code === EXIT.unusableBackup) return null;
  throw error;
}
