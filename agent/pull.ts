import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { manifestName } from "./backup-name.ts";
import { withCopiesLock } from "./copies-lock.ts";
import { forgetDrill } from "./drill-record.ts";
import { keepReserve, openPartial, removeLeftovers, replaceFile, requireSpace } from "./durable-file.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { fetchContent } from "./fetch-content.ts";
import { fetchGlobals } from "./fetch-globals.ts";
import { sha256Of } from "./globals.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import type { ObjectStore } from "./object-store.ts";
import { readPin, writePin } from "./pin-file.ts";
import { openProven } from "./proven-reader.ts";
import { refuse } from "./refuse.ts";
import { listRemote, type WholeEntry } from "./remote-catalogue.ts";
import { findRemote, latestRemote } from "./remote-choice.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";
import { textOf } from "./store-copy.ts";

/** Retention leaves what was fetched alone for so long. */
const PINNED_FOR_MS = 7 * 24 * 3_600_000;

export interface Pulled {
  name: string;
  /** Where it came from. */
  key: string;
  bytes: number;
  /** It was in the backup directory already, whole; nothing was fetched. */
  wasHere: boolean;
}

/**
 * Fetches one backup from the store into the backup directory: a backup's name or key, or `latest`. As with a backup that is
 * taken, the dump gets its name once it is whole and on disk, and the manifest comes last; a kill leaves a hidden file that the
 * next pull removes. Never overwrites. Throws a Stop.
 */
export function pull(
  settings: AgentSettings,
  store: ObjectStore,
  which: string,
  report: Reporter,
): Promise<Pulled> {
  return withCopiesLock(settings, report, async lost => {
    await removeLeftovers(settings.backupDir, pulls(settings));
    const entries = await listRemote(store, settings.stack);
    const entry = which === "latest" ? latestRemote(entries, store) : findRemote(entries, which, store);
    const beside = await manifestHere(settings, entry);
    const wasHere = await isHere(settings, entry);
    const { name, key, bytes } = entry;
    if (!wasHere) await fetchDump(settings, store, entry, report, lost);
    await bringGlobals(settings, store, entry, report);
    await writeManifest(settings, store, entry, beside);
    if (wasHere) report.done(`${name} is in ${settings.backupDirShown} already, and is good`);
    else report.done(`${name} is in ${settings.backupDirShown} (Size: ${humanSize(bytes)})`);
    return { name, key, bytes, wasHere };
  });
}

/** Before it has its name: an old one that somebody wants again would be the next prune's first. Never shortens a pin. */
async function pinFetched(settings: AgentSettings, name: string): Promise<void> {
  const now = Date.now();
  const until = new Date(now + PINNED_FOR_MS).toISOString();
  const before = await readPin(settings, name);
  if (before && (before.until === null || before.until > until)) return;
  await writePin(settings, name, { until, pinnedAt: new Date(now).toISOString() });
}

/** What hidden files of pulls are named by. Not the stack alone: a backup removes its own stack's under another lock. */
function pulls({ stack }: AgentSettings): string {
  return `pull-${stack}`;
}

async function fetchDump(
  settings: AgentSettings,
  store: ObjectStore,
  { name, key, bytes, etag, manifest }: WholeEntry,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const { backupDir, backupDirShown } = settings;
  await requireSpace(backupDir, backupDirShown, bytes);
  const partial = await openPartial(backupDir, pulls(settings), name);
  const progress = report.progress("fetching", bytes);
  const hash = createHash("sha256");
  let fetched = 0;
  const watch = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      fetched += chunk.length;
      progress.at(fetched);
      next(null, chunk);
    },
  });
  const source = Readable.from(fetchContent(store, { key, bytes, etag }), { objectMode: false });
  try {
    await pipeline([source, watch, keepReserve(backupDir, backupDirShown), partial.sink()], { signal });
    if (hash.digest("hex") !== manifest.sha256) {
      throw refuse(
        `${store.shown}/${key} is corrupt: its bytes are not those that its manifest recorded`,
        "Use another backup: `npx budgie list --remote` shows them.",
      );
    }
    await forgetDrill(settings, name);
    await pinFetched(settings, name);
    await partial.publish(name);
  } catch (error) {
    await partial.discard();
    throw signal.aborted ? signal.reason : diskFull(error as NodeJS.ErrnoException, settings);
  } finally {
    progress.end();
  }
}

/** A backup that lacks its roles is one all the same. */
async function bringGlobals(
  settings: AgentSettings,
  store: ObjectStore,
  entry: WholeEntry,
  report: Reporter,
): Promise<void> {
  const { globals } = entry.manifest;
  if (!globals) return;
  const path = join(settings.backupDir, globals.file);
  const here = await readFile(path).catch(() => null);
  if (here) {
    if (sha256Of(here) !== globals.sha256) throw inTheWay(settings, globals.file);
    return;
  }
  const content = await fetchGlobals(store, entry).catch((error: unknown) => {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    report.warn(`${error.message} The backup is fetched without it`);
    return null;
  });
  if (content) await replaceFile(path, content).catch(error => Promise.reject(diskFull(error, settings)));
}

/** The manifest that is here already. Throws a Stop for one that speaks of something else. */
async function manifestHere(settings: AgentSettings, { manifest }: WholeEntry): Promise<Manifest | null> {
  const name = manifestName(manifest.file) as string;
  const reading = await readManifest(join(settings.backupDir, name));
  if (reading.found && reading.manifest.sha256 === manifest.sha256) return reading.manifest;
  if (!reading.found && reading.why === "absent") return null;
  throw inTheWay(settings, name);
}

/** Whether the dump is here, every byte of it. Throws a Stop when something else has its name. */
async function isHere(settings: AgentSettings, { name, manifest }: WholeEntry): Promise<boolean> {
  const path = join(settings.backupDir, name);
  const found = await stat(path).catch(() => null);
  if (!found) return false;
  if (found.size !== manifest.bytes) throw inTheWay(settings, name);
  const { bytes, sha256 } = manifest;
  const reader = await openProven({ path, shown: name, bytes, sha256 });
  try {
    const buffer = Buffer.allocUnsafeSlow(1 << 20);
    while ((await reader.next(buffer)) !== null);
    return true;
  } catch {
    throw inTheWay(settings, name);
  } finally {
    await reader.close();
  }
}

async function writeManifest(
  settings: AgentSettings,
  store: ObjectStore,
  { key, etag, at, listedAt, manifest }: WholeEntry,
  beside: Manifest | null,
): Promise<void> {
  const now = new Date().toISOString();
  const offsite = {
    store: store.shown,
    key,
    at: at ?? now,
    etag,
    versionId: null,
    listedAt: listedAt ?? now,
  };
  const path = join(settings.backupDir, manifestName(manifest.file) as string);
  await replaceFile(path, textOf({ ...(beside ?? manifest), offsite })).catch(error => {
    throw diskFull(error, settings);
  });
}

function inTheWay({ backupDirShown }: AgentSettings, name: string): Stop {
  return new Stop(
    EXIT.unusableBackup,
    `${backupDirShown}/${name} is there already, and is not what the store has under that name.`,
    "Move it elsewhere, together with the file beside it, then run the same command again.",
  );
}

function diskFull(error: NodeJS.ErrnoException, { backupDirShown }: AgentSettings): Error {
  if (error.code !== "ENOSPC" && error.code !== "EDQUOT") return error;
  return new Stop(
    EXIT.noSpace,
    `The disk with ${backupDirShown} is full.`,
    "Free some space there, then run the same command again.",
  );
}
