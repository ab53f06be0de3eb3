import { join } from "node:path";
import { baseFolder, type Chain, type ChainContent, walFolder } from "./wal-chain.ts";
import { nextSegment, parseLsn, segmentAt, timelineOf } from "./wal-segment.ts";

const DAY_MS = 24 * 3_600_000;
const LEAST_BYTES_A_DAY = 1024 * 1024 * 1024;
const DAYS_FOR_ALL = 7;
/** More than that is no hole: a file has another one's name. */
const MOST_MISSING = 1000;
/** A look that is further ahead than that was of a wrong clock. */
const TOLERANCE_MS = 60_000;

/** A file of a chain, and what was recorded of it when it was written. */
export interface FileAtRest {
  /** In the stack's point-in-time folder: `20261122T140000Z_7389…/wal/000000010000000000000003_….gz` */
  name: string;
  path: string;
  chain: string;
  /** The segment, or the base backup, that cannot be had without it. */
  part: { segment: string } | { base: string };
  /** Null where only the hash was recorded. */
  bytes: number | null;
  /** How the file's SHA-256 begins; null for a segment that must be there, and is not. */
  sha256: string | null;
}

/** How a file was when it was last looked at. */
export interface Look {
  at: string;
  /** How much had to be read. */
  bytes: number;
  /** What is wrong with it; null when it is as it was recorded. */
  why: string | null;
  /** When that was first found. */
  since: string | null;
  /** Tells whether a damaged file was written again since. */
  mark: string | null;
}

export type Looks = Readonly<Record<string, Look>>;

/** How much may be read: what is left of it at a moment. Less than nothing after a file that was larger than what was left. */
export interface Allowance {
  at: string;
  left: number;
}

/** Every file that a recovery may need, and every segment that is missing between two that are there. */
export function filesAtRest(chain: Chain, content: ChainContent): FileAtRest[] {
  const inFolder = (folder: string, file: string) => {
    const path = join(folder, file);
    return { path, name: join(chain.name, path.slice(chain.folder.length + 1)), chain: chain.name };
  };
  return [
    ...content.bases.flatMap(({ name, files }) =>
      files.map(file => ({
        ...inFolder(baseFolder(chain), file.name),
        part: { base: name },
        bytes: file.bytes,
        sha256: file.sha256,
      })),
    ),
    ...content.sealed.map(({ file, segment, hash }) => ({
      ...inFolder(walFolder(chain), file),
      part: { segment },
      bytes: null,
      sha256: hash,
    })),
    ...missingSegments(content).map(segment => ({
      ...inFolder(walFolder(chain), segment),
      part: { segment },
      bytes: null,
      sha256: null,
    })),
  ];
}

/**
 * The segments that are missing between the oldest base backup and the newest segment. Retention removes from the oldest on, so it
 * leaves no such hole.
 */
export function missingSegments({ bases, sealed, received, partial }: ChainContent): string[] {
  const [oldest] = bases;
  if (!oldest) return [];
  const { segmentBytes, timeline } = oldest;
  const all = [...sealed.map(({ segment }) => segment), ...received, ...(partial ? [partial] : [])];
  // A server that was promoted goes on under other names.
  const there = new Set(all.filter(segment => timelineOf(segment) === timeline));
  const newest = [...there].sort().at(-1) ?? "";
  const missing: string[] = [];
  const first = segmentAt(timeline, parseLsn(oldest.startLsn), segmentBytes);
  for (
    let next = first;
    next <= newest && missing.length < MOST_MISSING;
    next = nextSegment(next, segmentBytes)
  )
    if (!there.has(next)) missing.push(next);
  return missing;
}

/**
 * The decision of how much is read in a day, so that looking after the files leaves the disk to whoever else needs it: a gigabyte, and
 * where there is more, so much that all of it is read in a week.
 */
export function bytesADay(allBytes: number): number {
  return Math.max(LEAST_BYTES_A_DAY, Math.ceil(allBytes / DAYS_FOR_ALL));
}

/** What may be read now. It grows evenly over the day, and never beyond one day's. */
export function allowanceNow(before: Allowance | null, aDay: number, now: Date): Allowance {
  const at = now.toISOString();
  if (before === null) return { at, left: aDay };
  const passed = Math.max(0, now.getTime() - Date.parse(before.at));
  return { at, left: Math.min(aDay, before.left + Math.floor((aDay * passed) / DAY_MS)) };
}

/**
 * The file that is looked at next: one that nobody has looked at yet, else the one whose look is the longest ago. So none is looked at
 * twice before all were. Null while all were looked at within a day.
 */
export function nextToLookAt(files: readonly FileAtRest[], looks: Looks, now: Date): FileAtRest | null {
  const lastLook = ({ name }: FileAtRest) => {
    const at = Date.parse(looks[name]?.at ?? "");
    return Number.isNaN(at) || at > now.getTime() + TOLERANCE_MS ? Number.NEGATIVE_INFINITY : at;
  };
  let next: FileAtRest | null = null;
  for (const file of files) if (next === null || lastLook(file) < lastLook(next)) next = file;
  return next !== null && now.getTime() - lastLook(next) >= DAY_MS ? next : null;
}

/** The names of those that are not as they were recorded. */
export function damagedNames(looks: Looks): string[] {
  return Object.entries(looks)
    .filter(([, { why }]) => why !== null)
    .map(([name]) => name)
    .sort();
}

/** A chain without what is damaged in it: what a recovery can use. */
export function soundPart(content: ChainContent, looks: Looks): ChainContent {
  const prefix = `${content.chain.name}/`;
  const damaged = new Set(
    damagedNames(looks)
      .filter(name => name.startsWith(prefix))
      .map(name => name.slice(prefix.length)),
  );
  if (damaged.size === 0) return content;
  return {
    ...content,
    bases: content.bases.filter(({ files }) => !files.some(({ name }) => damaged.has(join("base", name)))),
    sealed: content.sealed.filter(({ file }) => !damaged.has(join("wal", file))),
  };
}
