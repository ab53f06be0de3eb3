import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { listCommand } from "../../shared/copies-places.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { explainWrite, keepReserve, openPartial, replaceFile, requireSpace } from "../base/durable-file.ts";
import { hashingStream, sha256Of } from "../base/hashing.ts";
import { countInto, watchedStream } from "../base/passing-bytes.ts";
import { refuse } from "../base/refuse.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { forgetDrill } from "../catalogue/drill-record.ts";
import { readPin, writePin } from "../catalogue/pin.ts";
import { openProven } from "../encryption/proven-reader.ts";
import { manifestName } from "../manifest/backup-name.ts";
import { readManifestKey } from "../manifest/key.ts";
import { isAuthentic, signed } from "../manifest/mac.ts";
import { type Manifest, manifestText, readManifest } from "../manifest/manifest.ts";
import { fetchGlobals } from "./fetch-globals.ts";
import { pulls, withCopiesLock } from "./lock.ts";
import type { CopiesPlace } from "./place.ts";
import { listRemote, type RemoteEntry, type WholeEntry } from "./remote-catalogue.ts";
import { findRemote, latestRemote } from "./remote-choice.ts";

/** For so long retention leaves a fetched backup alone. */
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
 * Fetches one backup from a place of copies into the backup directory. `which` is a backup's name or key, `latest`, or a function that
 * chooses among all that is there. As when a backup is taken, the dump gets its name once it is whole and on disk, and the
 * manifest comes last. A kill leaves a hidden file, which the next command that sends or fetches removes. Never overwrites. Throws a Stop.
 */
export function pull(
  settings: AgentSettings,
  place: CopiesPlace,
  which: string | ((entries: readonly RemoteEntry[]) => WholeEntry),
  report: Reporter,
): Promise<Pulled> {
  return withCopiesLock(settings, report, async () => {
    const entries = await listRemote(place, settings);
    const entry = typeof which === "string" ? entryNamed(entries, which, place) : which(entries);
    await manifestHere(settings, entry);
    const wasHere = await isHere(settings, entry);
    const { name, key, bytes } = entry;
    if (!wasHere) await fetchDump(settings, place, entry, report);
    await bringGlobals(settings, place, entry, report);
    await writeManifest(settings, place, entry);
    if (wasHere) report.done(`${name} is in ${settings.backupDirShown} already, and is good`);
    else report.done(`${name} is in ${settings.backupDirShown} (Size: ${humanSize(bytes)})`);
    return { name, key, bytes, wasHere };
  });
}

function entryNamed(entries: readonly RemoteEntry[], which: string, place: CopiesPlace): WholeEntry {
  return which === "latest" ? latestRemote(entries, place) : findRemote(entries, which, place);
}

/** Done before the dump has its name: an old backup that somebody wants again would be the first that prune removes. Never shortens a pin. */
async function pinFetched(settings: AgentSettings, name: string): Promise<void> {
  const now = Date.now();
  const until = new Date(now + PINNED_FOR_MS).toISOString();
  const before = await readPin(settings, name);
  if (before && (before.until === null || before.until > until)) return;
  await writePin(settings, name, { until, pinnedAt: new Date(now).toISOString() });
}

async function fetchDump(
  settings: AgentSettings,
  place: CopiesPlace,
  { name, key, bytes, etag, manifest }: WholeEntry,
  report: Reporter,
): Promise<void> {
  const { backupDir, backupDirShown } = settings;
  await requireSpace(backupDir, backupDirShown, bytes);
  const partial = await openPartial(backupDir, pulls(settings), name);
  const progress = report.progress("fetching", bytes);
  const hash = hashingStream();
  const source = Readable.from(place.content({ key, bytes, etag }), { objectMode: false });
  try {
    const guard = keepReserve(backupDir, backupDirShown);
    await pipeline([source, hash.stream, watchedStream(countInto(progress)), guard, partial.sink()]);
    if (hash.sha256() !== manifest.sha256) {
      throw refuse(
        `${place.shown}/${key} is corrupt: its bytes are not those that its manifest recorded`,
        `Use another backup: \`${listCommand(place.from)}\` shows them.`,
      );
    }
    await forgetDrill(settings, name);
    await pinFetched(settings, name);
    await partial.publish(name);
  } catch (error) {
    await partial.discard();
    throw explainWrite(error, name, backupDirShown);
  } finally {
    progress.end();
  }
}

/** A backup without its roles is still a backup. */
async function bringGlobals(
  settings: AgentSettings,
  place: CopiesPlace,
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
  const content = await fetchGlobals(place, entry).catch((error: unknown) => {
    if (!(error instanceof Stop) || error.code !== EXIT.unusableBackup) throw error;
    report.warn(`${error.message} The backup is fetched without it`);
    return null;
  });
  if (content) await replace(settings, globals.file, content);
}

/** A manifest, and whether this stack's agent wrote it. */
type Judged = Pick<WholeEntry, "manifest" | "authentic">;

/** The manifest that is here already. Throws a Stop for one that speaks of something else. */
async function manifestHere(settings: AgentSettings, { manifest }: WholeEntry): Promise<Judged | null> {
  const name = manifestName(manifest.file) as string;
  const reading = await readManifest(join(settings.backupDir, name));
  if (reading.found && reading.record.sha256 === manifest.sha256) {
    const authentic = isAuthentic(await readManifestKey(settings), reading.json);
    return { manifest: reading.record, authentic };
  }
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

/**
 * Signs the manifest if this stack's agent wrote it; else it keeps the MAC that it has, even a wrong one or none. A manifest that is
 * here already is read anew, because fetching took its time. It is kept, unless only the other is authentic.
 */
async function writeManifest(settings: AgentSettings, place: CopiesPlace, entry: WholeEntry): Promise<void> {
  const { key, etag, at, listedAt } = entry;
  const here = await manifestHere(settings, entry);
  const { manifest, authentic } = here?.authentic || (here && !entry.authentic) ? here : entry;
  const now = new Date().toISOString();
  const found = place.record({ key, etag, at: at ?? now, listedAt: listedAt ?? now });
  const written: Manifest = { ...manifest, ...found };
  const text = manifestText(authentic ? signed(await readManifestKey(settings), written) : written);
  await replace(settings, manifestName(manifest.file) as string, text);
}

async function replace(
  { backupDir, backupDirShown }: AgentSettings,
  name: string,
  content: string | Buffer,
): Promise<void> {
  await replaceFile(join(backupDir, name), content).catch(error => {
    throw explainWrite(error, name, backupDirShown);
  });
}

function inTheWay({ backupDirShown }: AgentSettings, name: string): Stop {
  return new Stop(
    EXIT.unusableBackup,
    `${backupDirShown}/${name} is there already, and is not what was to be fetched under that name.`,
    "Move it elsewhere, together with the file beside it, then run the same command again.",
  );
}
