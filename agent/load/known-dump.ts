import { open, stat } from "node:fs/promises";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { refuse } from "../base/refuse.ts";
import { type Progress, silentProgress } from "../base/reporter.ts";
import type { DumpContent, LongestRow, TableFingerprint } from "../dump/fingerprint.ts";
import { inspectDump, type ReadDump, requireWhole } from "../dump/inspect.ts";
import { isArchiveKind, kindOfFile } from "../dump/kind.ts";
import { readSql } from "../dump/sql.ts";
import { formatOf, isArchiveName } from "../manifest/backup-name.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { ReadDumpSql } from "./load-sql.ts";

const TAIL_BYTES = 4096;
const COMPLETION = "-- PostgreSQL database dump complete";

/** What is known of a dump before it is loaded. */
export interface KnownDump {
  /** Of the SQL in it. */
  contentBytes: number;
  longestRow: LongestRow | null;
  serverVersion: string | null;
  pgDumpVersion: string | null;
  /** Null when it was not read: its manifest says all of this. Whether the two belong together shows while it is loaded. */
  read: ReadDump | null;
}

/**
 * What is known of a dump. Its manifest says it, where the dump's size and end fit the manifest. Where they do not, or the manifest
 * does not say it, the whole dump is read. Throws a Stop for a dump that is not whole.
 */
export async function knowDump(
  path: string,
  shown: string,
  manifest: Manifest | null,
  progress: Progress,
): Promise<KnownDump> {
  if (manifest?.longestRow !== undefined && (await looksWhole(path, shown, manifest))) {
    const { contentBytes, longestRow, serverVersion, pgDumpVersion } = manifest;
    return { contentBytes, longestRow, serverVersion, pgDumpVersion, read: null };
  }
  const read = await inspectDump(path, shown, progress);
  requireWhole(read, shown, manifest);
  const { bytes, longestRow, serverVersion, pgDumpVersion } = read.fingerprint;
  return { contentBytes: bytes, longestRow, serverVersion, pgDumpVersion, read };
}

async function looksWhole(path: string, shown: string, manifest: Manifest): Promise<boolean> {
  const kind = await kindOfFile(path, shown);
  const { size } = await stat(path);
  if (size !== manifest.bytes) return false;
  if (kind !== "plain" || formatOf(manifest.file) !== "sql") return true;
  const file = await open(path, "r");
  try {
    const tail = Buffer.alloc(Math.min(TAIL_BYTES, size));
    await file.read(tail, 0, tail.length, size - tail.length);
    return tail.includes(COMPLETION);
  } finally {
    await file.close();
  }
}

/** The dump's SQL, from its first byte to its last, as often as it is asked for. */
export async function sqlOfFile(
  path: string,
  shown: string,
  options: { progress: Progress; signal: AbortSignal; withoutOwners?: boolean },
): Promise<ReadDumpSql> {
  const kind = await kindOfFile(path, shown);
  return async take => {
    const hashed = isArchiveKind(kind);
    return (await readSql({ source: path, kind, shown }, take, { ...options, hashed })).sha256;
  };
}

/**
 * Runs `work`, which reads the dump. When it refuses a dump that has a manifest, the whole file is first compared with that
 * manifest: a damaged file can look like anything, and the refusal then says that it is damaged.
 */
export async function damageFirst<T>(
  { path, shown, manifest }: { path: string; shown: string; manifest: Manifest | null },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (manifest !== null && error instanceof Stop && error.code === EXIT.unusableBackup)
      requireWhole(await inspectDump(path, shown, silentProgress), shown, manifest);
    throw error;
  }
}

/** A dump as it was read while it was loaded. */
export interface LoadedFile {
  content: DumpContent;
  /** Of the file's bytes; null for plain SQL, whose content is all that there is. */
  fileSha256: string | null;
}

/** Throws a Stop unless the manifest recorded what was loaded. Without a manifest, it must be what was read before. */
export async function requireSameDump(
  loaded: LoadedFile,
  { path, shown, manifest }: { path: string; shown: string; manifest: Manifest | null },
  before: ReadDump | null,
): Promise<void> {
  const { content, fileSha256 } = loaded;
  if (!content.complete) throw refuse(`${shown} is cut off: pg_dump's completion line is missing`);
  if (manifest === null) {
    if (before === null || isAsRead(loaded, before)) return;
    throw refuse(`${shown} changed while it was being read`);
  }
  const isArchive = isArchiveName(manifest.file);
  const differences = differencesOf(content, manifest);
  if (differences.length === 0 && (!isArchive || fileSha256 === manifest.contentSha256)) return;
  requireWhole(await inspectDump(path, shown, silentProgress), shown, manifest);
  // Older agents mistook the rows of a table for schema when the table's name has a line end in it.
  if (manifest.longestRow === undefined && content.tables.some(({ copy }) => copy.includes("\n"))) return;
  throw refuse(`${shown} is not what its manifest recorded: ${differences.join("; ")}`);
}

/** Of an archive, the SQL may leave out owners that were read before; its own bytes say that it is the same. */
function isAsRead(
  { content, fileSha256 }: LoadedFile,
  { kind, contentSha256, fingerprint }: ReadDump,
): boolean {
  if (!isArchiveKind(kind)) return differencesOf(content, fingerprint).length === 0;
  const { schemaSha256 } = fingerprint;
  return (
    fileSha256 === contentSha256 && differencesOf({ ...content, schemaSha256 }, fingerprint).length === 0
  );
}

export type Recorded = Pick<DumpContent, "schemaSha256" | "tables">;

/** One line for each table that is not as it was recorded, and one for the schema. */
export function differencesOf(content: Recorded, recorded: Recorded): string[] {
  const found = byPlace(content.tables);
  const tables = [...byPlace(recorded.tables)].flatMap(([place, table]) => {
    const difference = tableDifference(table, found.get(place));
    found.delete(place);
    return difference === null ? [] : [difference];
  });
  const extra = [...found.values()].map(({ name }) => `${name} is not recorded`);
  const same = content.schemaSha256 === recorded.schemaSha256;
  return [...tables, ...extra, ...(same ? [] : ["the schema or a sequence's position"])];
}

/** A partitioned table's rows can come in several blocks. */
function byPlace(tables: readonly TableFingerprint[]): Map<string, TableFingerprint> {
  const seen = new Map<string, number>();
  return new Map(
    tables.map(table => {
      const before = seen.get(table.copy) ?? 0;
      seen.set(table.copy, before + 1);
      return [`${before} ${table.copy}`, table];
    }),
  );
}

/** The names of tables whose rows come in several blocks. */
export function inSeveralBlocks({ read }: KnownDump): ReadonlySet<string> {
  const names = read?.fingerprint.tables.map(({ name }) => name) ?? [];
  return new Set(names.filter((name, n) => names.indexOf(name) !== n));
}

function tableDifference(recorded: TableFingerprint, found: TableFingerprint | undefined): string | null {
  if (!found) return `${recorded.name} is missing, or has other columns`;
  if (found.rows !== recorded.rows)
    return `${recorded.name} has ${found.rows} rows instead of ${recorded.rows}`;
  if (found.sha256 !== recorded.sha256)
    return `${recorded.name} has the right number of rows, but other values`;
  return null;
}
