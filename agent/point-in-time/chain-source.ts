import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { sha256Of } from "../base/hashing.ts";
import { watched } from "../base/passing-bytes.ts";
import { soundPart } from "./at-rest.ts";
import type { BaseRecord } from "./base-record.ts";
import { readLooks } from "./looks.ts";
import type { Recoverable } from "./recoverable.ts";
import { readLive } from "./status.ts";
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

/** Where a recovery reads chains: the backup directory, or a bucket. It writes to neither. */
export interface ChainSource {
  shown: string;
  /** Without what is known to be damaged. */
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
      // What is here can be recovered even if the server does not answer.
      const live = await readLive(settings, chains).catch(() => null);
      const contents = live?.contents ?? (await Promise.all(chains.map(readChain)));
      const looks = await readLooks(settings);
      return contents.map(content => soundPart(content, looks));
    },
    base: (chain, base) => proven(join(baseFolder(folderOf(chain)), archiveOf(base).name), archiveOf(base)),
    segment: async (chain, segment) => {
      const sealed = chain.sealed.find(other => other.segment === segment);
      const received = join(receivingFolder(folderOf(chain)), segment);
      if (sealed) return unseal(await readFile(join(walFolder(folderOf(chain)), sealed.file)), sealed);
      // Since the chain was listed, the segment may have become whole, or been compressed.
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
  if (!sha256Of(packed).startsWith(hash))
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

/** Passes the bytes on, and throws at their end unless they are the recorded ones. */
export async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  sha256: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  yield* watched(chunks, chunk => void hash.update(chunk));
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
