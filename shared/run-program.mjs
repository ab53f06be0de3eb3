import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as nodeModule from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));
const MARK = "// made from ";
/** No program runs for as long, so none still has to load one of its parts. */
const PART_IS_OLD_AFTER_DAYS = 30;

/**
 * Runs a TypeScript program of this project. Its own modules are put into one file first, which is kept in `.build` for as long as none of
 * them has changed: to find and translate each by itself takes longer than most commands do. What it imports only when it needs it is a
 * file of its own, a part, so that packages that only a part needs are loaded with that part. Where that folder cannot be written, the
 * modules are run as they are.
 * @param {string} entry the program, from the project's folder: `scripts/budgie.ts`
 * @returns {Promise<Record<string, unknown>>} what the program exports
 */
export async function runProgram(entry) {
  // Right below the project's folder: what finds that folder by its own place finds it from there as well.
  const file = join(PROJECT, ".build", `${entry.replace(/\.ts$/, "").replaceAll("/", "-")}.mjs`);
  if (!isCurrent(file) && !(await bundle(entry, file))) {
    const { register } = await import("tsx/esm/api");
    register();
    return import(pathToFileURL(join(PROJECT, entry)).href);
  }
  // What V8 made of the packages is kept from run to run. Node 20 cannot; where the folder cannot be written, nothing is kept.
  nodeModule.enableCompileCache?.(join(PROJECT, ".build", "compiled"));
  // Pulumi has set up its own reader of source maps.
  if (Error.prepareStackTrace === undefined) process.setSourceMapsEnabled(true);
  return import(pathToFileURL(file).href);
}

/** Whether every file that it was made from is as it was then, and every part is there. */
function isCurrent(file) {
  try {
    const text = readFileSync(file, "utf8");
    const [first] = text.split("\n", 1);
    if (!first?.startsWith(MARK)) return false;
    const { sources, parts } = JSON.parse(first.slice(MARK.length));
    for (const part of parts) statSync(join(dirname(file), part));
    return sources.every(([path, mark]) => markOf(path) === mark);
  } catch {
    return false;
  }
}

function markOf(path) {
  const { size, mtimeMs, ctimeMs } = statSync(join(PROJECT, path));
  return `${size} ${mtimeMs} ${ctimeMs}`;
}

/**
 * Puts the program's file in place by one rename, with what it was made from in its first line: nobody ever reads one and the other's
 * other. The parts are there before it. Each has the hash of its text in its name, so that a program that runs already finds its own.
 */
async function bundle(entry, file) {
  const name = basename(file, ".mjs");
  try {
    const { build } = await import("esbuild");
    const before = Date.now();
    const { outputFiles, metafile } = await build({
      absWorkingDir: PROJECT,
      entryPoints: [{ in: entry, out: name }],
      outdir: dirname(file),
      outExtension: { ".js": ".mjs" },
      chunkNames: `${name}-part-[hash]`,
      bundle: true,
      splitting: true,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "node20",
      sourcemap: "inline",
      metafile: true,
      write: false,
      logLevel: "silent",
    });
    const marks = Object.keys(metafile.inputs).map(path => [path, markOf(path)]);
    // What was written meanwhile may be in it or not.
    const isOld = marks.every(([path]) => statSync(join(PROJECT, path)).mtimeMs < before);
    const sources = isOld ? marks : [["nothing", ""]];
    const program = outputFiles.find(output => output.path === file);
    const parts = outputFiles.filter(output => output !== program);
    mkdirSync(dirname(file), { recursive: true });
    for (const part of parts) put(part.path, part.text);
    const made = JSON.stringify({ sources, parts: parts.map(part => basename(part.path)) });
    put(file, `${MARK}${made}\n${program.text}`);
    removeOldParts(dirname(file), `${name}-part-`, parts);
    return true;
  } catch {
    return false;
  }
}

function put(path, text) {
  const fresh = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    writeFileSync(fresh, text);
    renameSync(fresh, path);
  } finally {
    removeIfThere(fresh);
  }
}

function removeOldParts(folder, prefix, parts) {
  const inUse = new Set(parts.map(part => part.path));
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(prefix) || inUse.has(path)) continue;
    if (Date.now() - statSync(path).mtimeMs > PART_IS_OLD_AFTER_DAYS * 86_400_000) removeIfThere(path);
  }
}

function removeIfThere(path) {
  try {
    rmSync(path, { force: true });
  } catch {
    // Where nothing can be written, nothing was.
  }
}
