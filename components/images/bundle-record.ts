import { createHash } from "node:crypto";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";

/** What a bundle was made from, and what came out. */
interface MadeFrom {
  /** How it was made: options, and what else decides which files are read. */
  how: string;
  /** The fingerprint of every file that was read, by path. */
  sources: { [path: string]: string };
  /** Of the build context that was written. */
  hash: string;
}

/** Decide which file an import means. */
const RESOLUTION = ["package-lock.json", "tsconfig.json"];

/**
 * The hash of the build context that was made in the same way from the same files; undefined when anything differs. The
 * caller must see whether that context is still there, whole.
 */
export function madeBefore(name: string, how: string): string | undefined {
  try {
    const made = JSON.parse(readFileSync(fileOf(name), "utf8")) as MadeFrom;
    const same =
      made.how === how && Object.entries(made.sources).every(([path, print]) => fingerprint(path) === print);
    return same ? made.hash : undefined;
  } catch {
    // There is none, or one of its files is gone: it is made again.
    return undefined;
  }
}

/**
 * Paths are relative to the project folder. Nothing is remembered when one of them was written after `startedAt`, as of
 * `Date.now()`: what was read may have been what it held before.
 */
export function remember(
  name: string,
  startedAt: number,
  made: { how: string; paths: string[]; hash: string },
): void {
  const paths = [...made.paths, ...RESOLUTION];
  if (paths.some(path => statSync(join(PROJECT_FOLDER, path)).mtimeMs >= startedAt)) return;
  const sources = Object.fromEntries(paths.map(path => [path, fingerprint(path)]));
  const own = `${fileOf(name)}.${process.pid}`;
  writeFileSync(own, JSON.stringify({ how: made.how, sources, hash: made.hash } satisfies MadeFrom));
  renameSync(own, fileOf(name));
}

function fileOf(name: string): string {
  return join(PROJECT_FOLDER, ".build", `${name}.made-from.json`);
}

/**
 * By the file's content. There are hundreds of packages' files, so these go by size and time, which npm sets when it
 * unpacks them. Throws when the file is not there.
 */
function fingerprint(path: string): string {
  const file = join(PROJECT_FOLDER, path);
  if (path.includes("node_modules/")) {
    const { size, mtimeMs } = statSync(file);
    return `${size} ${mtimeMs}`;
  }
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
