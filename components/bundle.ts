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
import { buildSync } from "esbuild";
import { PROJECT_FOLDER } from "../settings.ts";

export interface Bundle {
  /** The build context, relative to the project folder, so that the state holds no path of this machine. */
  context: string;
  /** Of everything in it. */
  hash: string;
}

/**
 * Writes a build context of one bundled program and the files given (a Dockerfile among them) to .build/NAME. An image made
 * from it needs no network and no node_modules. Throws when the program does not compile.
 */
export function bundle(name: string, program: { entry: string; file: string; beside: string[] }): Bundle {
  const { outputFiles } = buildSync({
    absWorkingDir: PROJECT_FOLDER,
    entryPoints: [program.entry],
    outfile: program.file,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    // ssh2 does without both, and a bundle with what this machine happened to compile would run nowhere else.
    external: ["*.node", "cpu-features"],
    logLevel: "error",
    write: false,
  });
  const contents = new Map<string, Context>();
  for (const { contents: data } of outputFiles) contents.set(program.file, { data, mode: 0o644 });
  for (const path of program.beside) {
    const source = join(PROJECT_FOLDER, path);
    contents.set(basename(path), {
      data: readFileSync(source),
      mode: statSync(source).mode & 0o100 ? 0o755 : 0o644,
    });
  }
  const context = join(".build", name);
  writeContext(join(PROJECT_FOLDER, context), contents);
  return { context, hash: hashOf(contents) };
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
