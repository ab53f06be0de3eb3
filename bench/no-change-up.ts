import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../shared/project-folder.ts";
import { createStack } from "../test/support/stack/stack.ts";
import { toolchainEnvironment } from "../toolchain/machine/environment.ts";

export interface Cost {
  seconds: number;
  /** Of the processor, by the CLI and everything that it starts: other work on the machine changes it less. */
  cpuSeconds: number;
}

/** A Pulumi program whose stack is up. */
export interface Program {
  /** A `pulumi up` that changes nothing. Throws when it fails or changes something. */
  up(): Promise<Cost>;
  /** Everything that was kept of the program's code to be faster the next time, as after a clone. */
  forget(): Promise<void>;
  remove(): Promise<void>;
}

/** This project's whole dev stack. */
export async function wholeStack(): Promise<Program> {
  const stack = await createStack({ objectStore: "local", backupSchedule: "0 2 * * *" });
  await stack.up();
  const { args, env } = stack.invocation(...UP);
  const caches = await newFolder();
  const bundles = ["agent.made-from.json", "backend.made-from.json", "index.mjs"].map(name =>
    join(PROJECT_FOLDER, ".build", name),
  );
  return {
    up: () => timed(args, env, PROJECT_FOLDER, caches),
    forget: async () => removeAll([...bundles, ...(await contents(caches))]),
    remove: async () => {
      await stack.remove();
      await removeAll([caches]);
    },
  };
}

/** What `pulumi new typescript` makes, with this project's own packages. */
export async function emptyProgram(): Promise<Program> {
  const [folder, caches] = [await newFolder(), await newFolder()];
  const files = {
    "Pulumi.yaml": "name: empty\nruntime: nodejs\ndescription: The empty program\n",
    "package.json": '{ "name": "empty", "main": "index.ts" }\n',
    "index.ts": 'import * as pulumi from "@pulumi/pulumi";\n',
    "tsconfig.json": JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: ["index.ts"] }),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await symlink(join(PROJECT_FOLDER, "node_modules"), join(folder, "node_modules"));
  const env = {
    ...(await toolchainEnvironment()),
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "of a bench",
  };
  const onStack = ["--stack", "bench", "--non-interactive"];
  await execa("pulumi", ["stack", "init", "bench", "--non-interactive"], { cwd: folder, env });
  await execa("pulumi", ["up", "--yes", "--skip-preview", ...onStack], { cwd: folder, env });
  return {
    up: () => timed([...UP, ...onStack], env, folder, caches),
    forget: async () => removeAll(await contents(caches)),
    remove: () => removeAll([folder, caches]),
  };
}

const UP = ["up", "--yes", "--skip-preview", "--expect-no-changes"];

/** As the template has them. */
const COMPILER_OPTIONS = {
  strict: true,
  outDir: "bin",
  target: "es2020",
  module: "commonjs",
  moduleResolution: "node",
  sourceMap: true,
  experimentalDecorators: true,
  pretty: true,
  noFallthroughCasesInSwitch: true,
  noImplicitReturns: true,
  forceConsistentCasingInFileNames: true,
};

/** The shell knows what all descendants of a command have cost; Node does not. tsx caches in the folder for temporary files. */
async function timed(args: string[], env: NodeJS.ProcessEnv, cwd: string, caches: string): Promise<Cost> {
  const script =
    'TIMEFORMAT="%R %U %S"; time pulumi "$@" >/dev/null 2>"$TMPDIR/stderr" || { cat "$TMPDIR/stderr" >&2; exit 1; }';
  const { stderr } = await execa("bash", ["-c", script, "bash", ...args], {
    cwd,
    env: { ...env, TMPDIR: caches },
  });
  const [seconds = Number.NaN, user = 0, system = 0] = stderr.trim().split(/\s+/).map(Number);
  return { seconds, cpuSeconds: user + system };
}

function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "budgie-bench-"));
}

async function contents(folder: string): Promise<string[]> {
  return (await readdir(folder)).map(name => join(folder, name));
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { recursive: true, force: true });
}
