import { chown, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { unlessWithoutOwners } from "../../shared/file-systems.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { type BaseRecord, parseBaseRecord } from "./base-record.ts";
import { isSegment, parseSealedName, type SealedSegment } from "./wal-segment.ts";

/**
 * A chain is WAL without a gap, and the base backups on which it can be replayed. When the WAL breaks off, a new chain begins in a
 * folder of its own. Nothing is ever repaired inside an old one.
 *
 *   point-in-time/STACK/20261122T140000Z_7389041234567890123/
 *     receiving/   pg_receivewal's: whole segments, and the one that is being received, NAME.partial
 *     wal/         whole segments, compressed: see SealedSegment
 *     base/        NAME.tar.gz, NAME.manifest, and NAME.json, the record
 */
export interface Chain {
  /** `20261122T140000Z_7389041234567890123`: when it began, and PostgreSQL's identity of the cluster. */
  name: string;
  systemIdentifier: string;
  folder: string;
}

/** All WAL up to `lsn` is on this disk, and every transaction that was committed by `at` ended before it. */
export interface Mark {
  /** Milliseconds since 1970, by the server's clock. */
  at: number;
  lsn: bigint;
}

/** What a chain holds, in the order in which it happened. */
export interface ChainContent {
  chain: Pick<Chain, "name" | "systemIdentifier">;
  bases: BaseRecord[];
  sealed: SealedSegment[];
  /** Whole segments that are not yet compressed, or not yet removed after that. */
  received: string[];
  /** The segment that is being received. */
  partial: string | null;
  mark: Mark | null;
}

const CHAIN = /^(\d{8}T\d{6}Z)_(\d+)$/;
const PARTIAL = /^([0-9A-F]{24})\.partial$/;
const marking = z.object({ at: z.number(), lsn: z.string().regex(/^\d+$/) });

export function pointInTimeFolder({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, "point-in-time", stack);
}

export const receivingFolder = ({ folder }: Pick<Chain, "folder">) => join(folder, "receiving");
export const walFolder = ({ folder }: Pick<Chain, "folder">) => join(folder, "wal");
export const baseFolder = ({ folder }: Pick<Chain, "folder">) => join(folder, "base");

/** `20261122T140000Z` */
export function compactTime(at: Date): string {
  return at.toISOString().replace(/[-:]|\.\d+/g, "");
}

/** This stack's chains, oldest first. */
export async function listChains(settings: AgentSettings): Promise<Chain[]> {
  const folder = pointInTimeFolder(settings);
  return (await namesIn(folder)).flatMap(name => {
    const parsed = parseChainName(name);
    return parsed ? [{ ...parsed, folder: join(folder, name) }] : [];
  });
}

export function parseChainName(name: string): Pick<Chain, "name" | "systemIdentifier"> | null {
  const systemIdentifier = CHAIN.exec(name)?.[2];
  return systemIdentifier ? { name, systemIdentifier } : null;
}

/** Makes an empty chain, owned by whoever owns the backup directory. */
export async function createChain(settings: AgentSettings, systemIdentifier: string): Promise<Chain> {
  const newest = (await listChains(settings)).at(-1)?.name ?? "";
  // If the clock was set back, the new chain must still come after the old one.
  const now = compactTime(new Date());
  const at = now > newest.slice(0, now.length) ? now : compactTime(new Date(startOfChain(newest) + 1000));
  const name = `${at}_${systemIdentifier}`;
  const chain = { name, systemIdentifier, folder: join(pointInTimeFolder(settings), name) };
  await makeChainFolders(settings, chain);
  return chain;
}

/** Makes those of the folders that are missing, as after a kill. */
export async function makeChainFolders(settings: AgentSettings, chain: Chain): Promise<void> {
  for (const folder of [walFolder(chain), baseFolder(chain), receivingFolder(chain)])
    await makeFolder(settings, folder);
}

/** In milliseconds since 1970. */
export function startOfChain(chainName: string): number {
  return Date.parse(chainName.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, "$1-$2-$3T$4:$5:$6Z"));
}

/** The folder belongs to whoever owns the backup directory, and is closed to others. */
export async function makeFolder(settings: AgentSettings, folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const { uid, gid } = await stat(settings.backupDir);
  for (let made = folder; made.startsWith(first); made = dirname(made))
    await chown(made, uid, gid).catch(unlessWithoutOwners);
}

export async function readChain(chain: Chain): Promise<ChainContent> {
  const [bases, sealed, receiving, mark] = await Promise.all([
    readBases(chain),
    namesIn(walFolder(chain)),
    namesIn(receivingFolder(chain)),
    readMark(chain),
  ]);
  return {
    chain,
    bases,
    sealed: sealed.map(parseSealedName).filter(segment => segment !== null),
    received: receiving.filter(isSegment),
    partial: receiving.map(name => PARTIAL.exec(name)?.[1]).findLast(name => name !== undefined) ?? null,
    mark,
  };
}

/** The mark that was saved last; null when there is none. */
async function readMark(chain: Chain): Promise<Mark | null> {
  const reading = await readRecord(marking, markPath(chain));
  return reading.found ? { at: reading.record.at, lsn: BigInt(reading.record.lsn) } : null;
}

export function saveMark(chain: Chain, { at, lsn }: Mark): Promise<void> {
  return writeRecord(markPath(chain), { at, lsn: String(lsn) });
}

function markPath({ folder }: Chain): string {
  return join(folder, "mark.json");
}

async function readBases(chain: Chain): Promise<BaseRecord[]> {
  const records = (await namesIn(baseFolder(chain))).filter(name => name.endsWith(".json"));
  const texts = await Promise.all(records.map(name => readFile(join(baseFolder(chain), name), "utf8")));
  return texts.map(parseBaseRecord).filter(record => record !== null);
}

/** Sorted; none where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
