import type { BaseRecord } from "./base-record.ts";
import type { SealedSegment } from "./wal-segment.ts";

const DIGITS = 12;
const KEY = /^point-in-time\/([^/]+)\/(wal|base)\/([^/]+)$/;

/** What the keys of chains begin with. As with backups, each key holds a hash of its content. */
export function chainsPrefix(prefix: string): string {
  return `${prefix}point-in-time/`;
}

/** `dev/point-in-time/20261122T140000Z_73890…/wal/000000010000000000000003_20261122T130300123Z-4f2a9c01d3e7.gz` */
export function segmentKey(prefix: string, chain: string, { file }: Pick<SealedSegment, "file">): string {
  return `${chainsPrefix(prefix)}${chain}/wal/${file}`;
}

/** `dev/point-in-time/…/base/20261122T140000Z-4f2a9c01d3e7.tar.gz`, and `.manifest`, and `.json`: the record, which is put last. */
export function baseKeys(
  prefix: string,
  chain: string,
  { name, files }: Pick<BaseRecord, "name" | "files">,
): { record: string; of(file: string): string } {
  const folder = `${chainsPrefix(prefix)}${chain}/base/`;
  const of = (file: string) => {
    const { sha256 = "" } = files.find(other => other.name === file) ?? {};
    return `${folder}${name}-${sha256.slice(0, DIGITS)}${file.slice(name.length)}`;
  };
  return { record: `${of(files[0]?.name ?? name).replace(/\.tar\.gz$/, "")}.json`, of };
}

/** Which part of which chain a key belongs to, given without the stack's prefix. Null for any other key. */
export function parseChainKey(name: string): { chain: string; part: "wal" | "base"; file: string } | null {
  const [, chain, part, file] = KEY.exec(name) ?? [];
  return chain && file ? { chain, part: part as "wal" | "base", file } : null;
}
