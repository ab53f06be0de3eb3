import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { type BuildOptions, buildSync, version } from "esbuild";
import { COMMANDS_RUN_HERE, PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { madeBefore, remember } from "./bundle-record.ts";
import { type PinnedImages, withPinnedImages } from "./pinned-images.ts";

export interface Bundle {
  /** The build context, relative to the project folder where Pulumi builds there, so that the state holds no path of this machine. */
  context: string;
  /** Of everything in it. */
  hash: string;
}

interface Program {
  entry: string;
  file: string;
  beside: string[];
}

const OPTIONS = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  // ssh2 does without both. A bundle with what this machine happened to compile would run nowhere else.
  external: ["*.node", "cpu-features"],
  // Reading and hashing blanks was a quarter of what a short command of the agent takes. Names and messages stay as they are.
  minifyWhitespace: true,
  logLevel: "error",
} satisfies BuildOptions;

/**
 * Writes a build context of one bundled program and the files given (a Dockerfile among them) to .build/NAME. An image made
 * from it needs no network and no node_modules. What was made from the same files before is only looked at. Throws when the
 * program does not compile.
 */
export function bundle(name: string, program: Program, pins: PinnedImages): Bundle {
  const folder = join(PROJECT_FOLDER, ".build", name);
  const context = COMMANDS_RUN_HERE ? join(".build", name) : folder;
  const how = JSON.stringify({ version, options: OPTIONS, program, pins: [...pins] });
  const known = madeBefore(name, how);
  if (known !== undefined && known === hashOfFolder(folder)) return { context, hash: known };
  const startedAt = Date.now();
  const { contents, sources } = make(program, pins);
  writeContext(folder, contents);
  const hash = hashOf(contents);
  remember(name, startedAt, { how, paths: [...sources, ...program.beside], hash });
  return { context, hash };
}

function make(program: Program, pins: PinnedImages): { contents: Map<string, Context>; sources: string[] } {
  const { outputFiles, metafile } = buildSync({
    ...OPTIONS,
    absWorkingDir: PROJECT_FOLDER,
    entryPoints: [program.entry],
    outfile: program.file,
    write: false,
    metafile: true,
  });
  const contents = new Map<string, Context>();
  for (const { contents: data } of outputFiles) contents.set(program.file, { data, mode: 0o644 });
  for (const path of program.beside) {
    const source = join(PROJECT_FOLDER, path);
    const text = readFileSync(source);
    const data =
      basename(path) === "Dockerfile" ? Buffer.from(withPinnedImages(text.toString(), pins)) : text;
    contents.set(basename(path), { data, mode: modeOf(source) });
  }
  // Others are made up by esbuild itself.
  const sources = Object.keys(metafile.inputs).filter(path => existsSync(join(PROJECT_FOLDER, path)));
  return { contents, sources };
}

function modeOf(file: string): number {
  return statSync(file).mode & 0o100 ? 0o755 : 0o644;
}

/** Undefined for a folder that is not there, or has something else than files in it. */
function hashOfFolder(folder: string): string | undefined {
  try {
    const files = readdirSync(folder).map(name => join(folder, name));
    const contents = files.map(
      file => [basename(file), { data: readFileSync(file), mode: modeOf(file) }] as const,
    );
    return hashOf(new Map(contents));
  } catch {
    return undefined;
  }
}

interface Context {
  data: Uint8Array;
  mode: number;
}

/** Leaves files that are right already alone: another stack may be building from them at this moment. */
function writeContext(folder: string, contents: ReadonlyMap<string, Context>): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (!contents.has(name)) rmSync(join(folder, name), { recursive: true });
  }
  for (const [name, { data, mode }] of contents) {
    const file = join(folder, name);
    if (!existsSync(file) || !readFileSync(file).equals(data)) {
      writeFileSync(`${file}.new`, data);
      renameSync(`${file}.new`, file);
    }
    chmodSync(file, mode);
  }
}

function hashOf(contents: ReadonlyMap<string, Context>): string {
  const hash = createHash("sha256");
  for (const [name, { data, mode }] of [...contents].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${mode}\0${data.length}\0`).update(data);
  }
  return hash.digest("hex");
}
