// npm test: types, lint and every test, after the same set-up as npm run up. Arguments go to vitest.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { toolchainEnvironment } from "./environment.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain, say } from "./say.ts";
import { countTests } from "./test-count.ts";

const results = join(projectFolder, ".build", "test-results.json");

await runMain(async () => {
  const env = await toolchainEnvironment({ report: true });
  const node = (script: string, ...args: string[]) =>
    runThrough(process.execPath, [join(projectFolder, "node_modules", script), ...args], env);

  say("Types...");
  const types = await node("typescript/bin/tsc", "--noEmit");
  say("Lint and format...");
  const lint = await node("@biomejs/biome/bin/biome", "check", ".");
  say("Tests...");
  await rm(results, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  const vitest = await node("vitest/vitest.mjs", "run", ...reporters, ...process.argv.slice(2));

  const count = countTests(await readFile(results, "utf8").catch(() => undefined), vitest);
  const failed = count.failed + (types === 0 ? 0 : 1) + (lint === 0 ? 0 : 1);
  process.stdout.write(`${count.passed} passed, ${failed} failed\n`);
  return failed === 0 && count.passed > 0 ? 0 : 1;
});
