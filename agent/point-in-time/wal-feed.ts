import { chown, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ThrowawayPlace } from "../throwaway/place.ts";

const LOOK_EVERY_MS = 10;
const AHEAD = 2;

/** Where a recovering server gets its WAL. */
export interface WalFeed {
  /** The server's restore_command. */
  command: string;
  /** Why a segment could not be had; the server has then ended, or will at once. Null while all is well. */
  failure(): Error | null;
  stop(): Promise<void>;
}

/**
 * Hands a recovering server the segments that it asks for. They belong to the operator, or lie in a bucket, and the server may read
 * neither. So its restore_command only leaves a note of what it wants, and waits for the file. A segment outside `segments` does not
 * exist for it. The next two are fetched meanwhile.
 */
export async function startWalFeed(
  { directory, postgres }: ThrowawayPlace,
  segments: readonly string[],
  fetch: (segment: string) => Promise<Buffer>,
): Promise<WalFeed> {
  const at = (name: string) => join(directory, name);
  const known = new Set(segments);
  await rm(at("wal-failed"), { force: true });
  await writeFile(at("wal-known"), `${segments.join("\n")}\n`);
  await writeFile(at("fetch-wal"), script(directory), { mode: 0o755 });
  let stopped = false;
  const ready = new Map<string, Promise<Buffer>>();
  const ahead = (segment: string) => {
    const found = ready.get(segment) ?? fetch(segment);
    // Its failure counts when the segment is wanted.
    found.catch(() => undefined);
    ready.set(segment, found);
    return found;
  };
  const serveOne = async () => {
    const wanted = (await readFile(at("wal-wanted"), "utf8").catch(() => "")).trim();
    if (!known.has(wanted)) return;
    const bytes = await ahead(wanted);
    ready.delete(wanted);
    const index = segments.indexOf(wanted);
    for (const next of segments.slice(index + 1, index + 1 + AHEAD)) void ahead(next);
    await rm(at("wal-wanted"), { force: true });
    await writeFile(at("wal-giving"), bytes, { mode: 0o600 });
    await chown(at("wal-giving"), postgres.uid, postgres.gid);
    await rename(at("wal-giving"), at(`wal-given-${wanted}`));
  };
  let failure: Error | null = null;
  const serving = (async () => {
    while (!stopped) {
      await serveOne();
      await delay(LOOK_EVERY_MS);
    }
  })().catch(async (error: Error) => {
    failure = error;
    await writeFile(at("wal-failed"), "").catch(() => undefined);
  });
  return {
    command: `sh ${at("fetch-wal")} %f %p`,
    failure: () => failure,
    stop: async () => {
      stopped = true;
      await serving;
    },
  };
}

/** Runs in the data directory; $2 is relative to it. If the agent is killed, it ends with the server. */
function script(directory: string): string {
  return `set -e
grep -qxF "$1" '${directory}/wal-known' || exit 1
echo "$1" > '${directory}/wal-wanted.new'
mv '${directory}/wal-wanted.new' '${directory}/wal-wanted'
# A code above 125 tells the server that it cannot recover, and it ends.
until [ -e "${directory}/wal-given-$1" ]; do [ ! -e '${directory}/wal-failed' ] || exit 200; sleep 0.01; done
mv "${directory}/wal-given-$1" "$2"
`;
}
