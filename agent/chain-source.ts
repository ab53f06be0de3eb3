import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { BaseRecord } from "./base-record.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { readLive } from "./point-in-time-status.ts";
import type { Recoverable } from "./recoverable.ts";
import type { AgentSettings } from "./settings.ts";
import {
  baseFolder,
  type ChainContent,
  listChains,
  pointInTimeFolder,
  readChain,
  receivingFolder,
  walFolder,
} from "./wal-chain.ts";

const decompress = promisify(gunzip);

/** Where the chains are that a recovery reads: the backup directory, or a bucket. It writes to neither. */
export interface ChainSource {
  shown: string;
  list(): Promise<ChainContent[]>;
  /** The archive of a base backup's data directory, every byte as it was recorded. Throws a Stop. */
  base(chain: ChainContent, base: BaseRecord): AsyncIterable<Uint8Array>;
  /** A whole segment's bytes. Throws a Stop. */
  segment(chain: ChainContent, segment: string): Promise<Buffer>;
}

/** The backup directory's chains. */
export function localChains(settings: AgentSettings): ChainSource {
  const folderOf = ({ chain }: ChainContent) => ({ folder: join(pointInTimeFolder(settings), chain.name) });
  return {
    shown: settings.backupDirShown,
    list: async () => {
      const chains = await listChains(settings);
      // A server that does not answer says nothing of what is here.
      const live = await readLive(settings, chains).catch(() => null);
      return live?.contents ?? Promise.all(chains.map(readChain));
    },
    base: (chain, base) => proven(join(baseFolder(folderOf(chain)), archiveOf(base).name), archiveOf(base)),
    segment: async (chain, segment) => {
      const sealed = chain.sealed.find(other => other.segment === segment);
      const received = join(receivingFolder(folderOf(chain)), segment);
      if (sealed) return unseal(await readFile(join(walFolder(folderOf(chain)), sealed.file)), sealed);
      // Whole by now, or compressed since the chain was listed.
      for (const path of [received, `${received}.partial`]) {
        const bytes = await readFile(path).catch(() => null);
        if (bytes) return bytes;
      }
      const now = (await readChain({ ...chain.chain, ...folderOf(chain) })).sealed.find(
        other => other.segment === segment,
      );
      if (now) return unseal(await readFile(join(walFolder(folderOf(chain)), now.file)), now);
      throw damaged(`the segment ${segment} is not there any more`);
    },
  };
}

export function archiveOf(base: BaseRecord): BaseRecord["files"][number] {
  const archive = base.files.find(({ name }) => name.endsWith(".tar.gz"));
  if (!archive) throw damaged(`the record of the base backup ${base.name} names no archive`);
  return archive;
}

/** Decompresses a segment that is what its name says. */
export async function unseal(
  packed: Buffer,
  { file, hash }: { file: string; hash: string },
): Promise<Buffer> {
  if (!createHash("sha256").update(packed).digest("hex").startsWith(hash))
    throw damaged(`${file} is corrupt: its bytes are not those that its name records`);
  return decompress(packed);
}

export function damaged(what: string): Stop {
  return new Stop(
    EXIT.unusableBackup,
    `The recovery was given up: ${what}. The database is as it was.`,
    "Recover from the bucket with `--from s3`, to a moment before it, or restore a backup: `npx budgie list` shows them.",
  );
}

async function* proven(
  path: string,
  { name, bytes, sha256 }: { name: string; bytes: number; sha256: string },
): AsyncGenerator<Uint8Array> {
  const found = await stat(path).catch(() => null);
  if (found?.size !== bytes) throw damaged(`${name} is missing or cut off`);
  yield* hashed(createReadStream(path, { highWaterMark: 1 << 20 }), name, sha256);
}

/** Passes the bytes on, and throws at their end unless they are those that were recorded. */
export async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  sha256: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("hex") !== sha256)
    throw damaged(`${name} is corrupt: its bytes are not those that were recorded`);
}

/** Keeps a copy of the last segment as it is now, so that a recovery that begins anew reads the same. */
export async function freezeLast(
  source: ChainSource,
  { chain, segments }: Recoverable,
): Promise<ChainSource> {
  const last = segments.at(-1);
  if (last === undefined || chain.partial !== last) return source;
  const bytes = await source.segment(chain, last);
  return {
    ...source,
    segment: async (from, segment) => (segment === last ? bytes : source.segment(from, segment)),
  };
}
