// npm test: types, lint and every test, after the same set-up as npm run up. With arguments, one vitest that gets them.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { toolchainEnvironment } from "./environment.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain, say } from "./say.ts";
import { countTests } from "./test-count.ts";

/**
 * Beside each other, each one file after the other: the first waits mostly for containers, and leaves the processor to the second.
 */
const LANES: Record<string, string[]> = {
  engine: ["--project", "engine"],
  others: ["--project", "unit", "--project", "postgres", "--project", "s3"],
};

await runMain(async () => {
  const env = await toolchainEnvironment({ report: true });
  const node = (script: string, ...args: string[]) =>
    runThrough(process.execPath, [join(projectFolder, "node_modules", script), ...args], env);

  say("Types...");
  const types = await node("typescript/bin/tsc", "--noEmit");
  say("Lint and format...");
  const lint = await node("@biomejs/biome/bin/biome", "check", ".");
  say("Tests...");
  const given = process.argv.slice(2);
  const lanes = given.length > 0 ? { tests: given } : LANES;
  const counts = await Promise.all(Object.entries(lanes).map(([lane, args]) => runTests(lane, args, node)));

  const passed = sum(counts.map(count => count.passed));
  const failed = sum(counts.map(count => count.failed)) + (types === 0 ? 0 : 1) + (lint === 0 ? 0 : 1);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
});

async function runTests(
  lane: string,
  args: string[],
  node: (script: string, ...args: string[]) => Promise<number>,
): Promise<{ passed: number; failed: number }> {
  const results = join(projectFolder, ".build", `test-results-${lane}.json`);
  await rm(results, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  const exitCode = await node("vitest/vitest.mjs", "run", ...reporters, ...args);
  return countTests(await readFile(results, "utf8").catch(() => undefined), exitCode);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
