import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { lock } from "proper-lockfile";
import { say } from "./say.ts";

/** Where the toolchain keeps what it built and downloaded. It can be deleted at any time. */
export const cacheFolder = process.env.BUDGIE_CACHE || join(homedir(), ".cache", "budgie-stack");

export const logFolder = join(cacheFolder, "logs");

/** A short hash of texts and of everything in the given files and folders, which may not hold node_modules or the like. */
export async function contentKey(paths: string[], ...texts: string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`text ${text.length} ${text}\n`);
  for (const path of paths) await addToHash(hash, path, basename(path));
  return hash.digest("hex").slice(0, 16);
}

async function addToHash(hash: ReturnType<typeof createHash>, path: string, name: string): Promise<void> {
  const entries = await readdir(path).catch(() => undefined);
  if (!entries) {
    const content = await readFile(path);
    hash.update(`file ${name} ${content.length}\n`).update(content);
    return;
  }
  for (const entry of entries.sort()) await addToHash(hash, join(path, entry), `${name}/${entry}`);
}

/** Runs one thing under a name at a time, among all processes that share the cache. Waits as long as it takes. */
export async function exclusively<T>(name: string, run: () => Promise<T>): Promise<T> {
  const path = join(cacheFolder, "locks", name);
  await mkdir(dirname(path), { recursive: true });
  const options = { realpath: false, stale: 60_000, update: 5_000 };
  const release = await lock(path, options).catch(async () => {
    say(`Waiting for another run that is busy with the same (${name})...`);
    return lock(path, {
      ...options,
      retries: { retries: 7200, minTimeout: 500, maxTimeout: 500, factor: 1 },
    });
  });
  try {
    return await run();
  } finally {
    await release();
  }
}

/**
 * The folder `name/key` of the cache, made by `build` if it is not there. It appears by one rename when `build` has
 * succeeded, so what is there is whole; two runs never build the same thing at the same time.
 */
export async function builtOnce(
  name: string,
  key: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cacheFolder, name, key);
  if (existsSync(folder)) return folder;
  return exclusively(`${name}-${key}`, async () => {
    if (existsSync(folder)) return folder;
    const unfinished = `${folder}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true });
    await build(unfinished);
    await rename(unfinished, folder);
    return folder;
  });
}
