import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const PROJECT = dirname(dirname(fileURLToPath(import.meta.url)));
const MARK = "// made from ";

/**
 * Runs a TypeScript program of this project. Its own modules are put into one file first, which is kept in `.build` for as long as none of
 * them has changed: to find and translate each by itself takes longer than most commands do. Where that folder cannot be written, they
 * are run as they are.
 * @param {string} entry the program, from the project's folder: `scripts/budgie.ts`
 */
export async function runProgram(entry) {
  // Right below the project's folder: what finds that folder by its own place finds it from there as well.
  const file = join(PROJECT, ".build", `${entry.replace(/\.ts$/, "").replaceAll("/", "-")}.mjs`);
  if (!isCurrent(file) && !(await bundle(entry, file))) {
    const { register } = await import("tsx/esm/api");
    register();
    return import(pathToFileURL(join(PROJECT, entry)).href);
  }
  process.setSourceMapsEnabled(true);
  return import(pathToFileURL(file).href);
}

/** Whether every file that it was made from is as it was then. */
function isCurrent(file) {
  try {
    const text = readFileSync(file, "utf8");
    const [first] = text.split("\n", 1);
    if (!first?.startsWith(MARK)) return false;
    return JSON.parse(first.slice(MARK.length)).every(([path, mark]) => markOf(path) === mark);
  } catch {
    return false;
  }
}

function markOf(path) {
  const { size, mtimeMs, ctimeMs } = statSync(join(PROJECT, path));
  return `${size} ${mtimeMs} ${ctimeMs}`;
}

/** Puts the file in place by one rename, with what it was made from in its first line: nobody ever reads one and the other's other. */
async function bundle(entry, file) {
  const fresh = `${file}.${randomBytes(4).toString("hex")}`;
  try {
    const { build } = await import("esbuild");
    const before = Date.now();
    const { outputFiles, metafile } = await build({
      absWorkingDir: PROJECT,
      entryPoints: [entry],
      outfile: file,
      bundle: true,
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
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      fresh,
      `${MARK}${JSON.stringify(isOld ? marks : [["nothing", ""]])}\n${outputFiles[0].text}`,
    );
    renameSync(fresh, file);
    return true;
  } catch {
    removeIfThere(fresh);
    return false;
  }
}

function removeIfThere(path) {
  try {
    rmSync(path, { force: true });
  } catch {
    // Where nothing can be written, nothing was.
  }
}
