// npm test: types, lint, imports and every test, after the same set-up as npm run up. With arguments, one vitest that gets them.

import { readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { runThrough } from "../machine/run-tool.ts";
import { runMain } from "../machine/say.ts";
import { countTests, type FileCount, failuresOf, filesToRunAgain } from "./test-count.ts";

/**
 * Three lanes run at the same time, each one file after the other: most of a test's time is spent waiting for containers. One runs
 * the engine's tests, one half of those beside a PostgreSQL, one all others and the other half. Whoever is through takes the
 * engine's files from the other end of the list until all meet.
 */
const BESIDE_ENGINE: Record<string, string[]>[] = [
  { postgres: ["--project", "postgres", "--shard=1/2"] },
  {
    others: ["--project", "unit", "--project", "s3", "--project", "browser"],
    "postgres-2": ["--project", "postgres", "--shard=2/2"],
  },
];
const ENGINE = join(PROJECT_FOLDER, "test", "engine");

/** CI ends a run after 90 minutes, of which installing the packages takes some. */
const ENDS_WITHIN_SECONDS = 86 * 60;

/** By the script of package.json that runs the same. */
const CHECKS: Record<string, [script: string, ...args: string[]]> = {
  typecheck: ["typescript/bin/tsc", "--noEmit"],
  lint: ["@biomejs/biome/bin/biome", "check", "."],
  arrows: ["dependency-cruiser/bin/dependency-cruise.mjs", "--config", ".dependency-cruiser.mjs", "."],
};

/** Runs a script out of `node_modules`, and gives its exit code. */
type Node = (script: string, ...args: string[]) => Promise<number>;
/** Runs one vitest. */
type Run = (name: string, args: string[]) => Promise<FileCount[]>;

await runMain(async () => {
  const env = await toolchainEnvironment({ report: true });
  const node: Node = (script, ...args) =>
    runThrough(process.execPath, [join(PROJECT_FOLDER, "node_modules", script), ...args], env);

  const given = process.argv.slice(2);
  const run: Run = (name, args) => runTests(name, args, node);
  const tests = () => (given.length > 0 ? run("tests", given) : runAll(run).then(all => runAgain(all, run)));
  const [failedChecks, counts] = await Promise.all([runChecks(node), tests()]);

  const passed = sum(counts.map(count => count.passed));
  const failures = [...failedChecks, ...failuresOf(counts)];
  // Again at the end: of a long output often only the end is kept.
  for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
  process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
  return failures.length === 0 && passed > 0 ? 0 : 1;
});

/** One after the other, beside the tests. Gives a line for each that failed. */
async function runChecks(node: Node): Promise<string[]> {
  const failed: string[] = [];
  for (const [name, command] of Object.entries(CHECKS))
    if ((await node(...command)) !== 0) failed.push(`npm run ${name}`);
  return failed;
}

async function runAll(run: Run): Promise<FileCount[]> {
  const files = (await readdir(ENGINE)).filter(name => name.endsWith(".test.ts")).sort();
  const counts: FileCount[] = [];
  const runEngine = async (next: () => string | undefined) => {
    for (let file = next(); file !== undefined; file = next())
      counts.push(...(await run(`engine-${file}`, ["--project", "engine", join("test", "engine", file)])));
  };
  await Promise.all([
    runEngine(() => files.shift()),
    ...BESIDE_ENGINE.map(async lane => {
      for (const [name, args] of Object.entries(lane)) counts.push(...(await run(name, args)));
      await runEngine(() => files.pop());
    }),
  ]);
  return counts;
}

/**
 * Runs a file that failed once more, by itself: beside two other lanes a machine of two cores may be too slow for a limit of time.
 * The first failure is told whatever comes of it, so that a test that depends on luck does not stay unseen.
 */
async function runAgain(counts: FileCount[], run: Run): Promise<FileCount[]> {
  const again: FileCount[] = [];
  const files = filesToRunAgain(counts, ENDS_WITHIN_SECONDS - process.uptime());
  for (const file of files) again.push(...(await run(`again-${basename(file)}`, [file])));
  const firstTries = counts.filter(count => files.includes(count.file));
  for (const failure of failuresOf(firstTries))
    process.stdout.write(`FAILED AT FIRST, and run again by itself: ${failure}\n`);
  return [...counts.filter(count => !files.includes(count.file)), ...again];
}

async function runTests(name: string, args: string[], node: Node): Promise<FileCount[]> {
  const results = join(PROJECT_FOLDER, ".build", `test-results-${name}.json`);
  await rm(results, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  const exitCode = await node("vitest/vitest.mjs", "run", ...reporters, ...args);
  return countTests(await readFile(results, "utf8").catch(() => undefined), exitCode);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
