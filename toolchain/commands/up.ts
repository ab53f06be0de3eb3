// npm run up: everything from a fresh clone to a running stack; safe to repeat.

import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { STACK } from "../machine/local-state.ts";
import { needsOf } from "../machine/needs.ts";
import { runThrough } from "../machine/run-tool.ts";
import { runMain, say, sayDone } from "../machine/say.ts";
import { askPulumi } from "./ask-pulumi.ts";
import { keepState, upCall } from "./keep-state.ts";
import { prepareStack } from "./prepare-stack.ts";
import { withoutSalt } from "./stack-file.ts";

await runMain(async () => {
  const needs = await needsOf(PROJECT_FOLDER, process.argv.slice(2));
  const env = await toolchainEnvironment({ report: true, needs });
  return withoutSalt([join(PROJECT_FOLDER, `Pulumi.${STACK}.yaml`)], async () => {
    await prepareStack(env);
    const upArguments = ["up", "--stack", STACK, "--yes", "--skip-preview", "--suppress-outputs"];
    const exitCode = await runThrough("pulumi", [...upArguments, ...process.argv.slice(2)], env);
    if (exitCode === 0) {
      await keepState(env, {
        stack: STACK,
        configFile: upCall(["up", ...process.argv.slice(2)])?.configFile,
      });
      await sayWhatIsThere(env);
    }
    return exitCode;
  });
});

/** From the stack's own outputs, as far as they are there. */
async function sayWhatIsThere(env: NodeJS.ProcessEnv): Promise<void> {
  const json = await askPulumi(env, ["stack", "output", "--json", "--stack", STACK]);
  const { url, backupDir, firstBackup, nextSteps } = JSON.parse(json) as Record<string, unknown>;
  sayDone(`Budgie is running${url ? ` at ${url}` : ""}.`);
  const steps = [
    ...(Array.isArray(nextSteps) ? nextSteps : []),
    "npm run pulumi -- preview          # any Pulumi command",
    'eval "$(npm run -s shell-env)"     # then plain pulumi works in this shell',
  ];
  const lines = [
    ...(backupDir ? [`Backups are kept in ${backupDir}.`] : []),
    ...(firstBackup ? [`The first: ${firstBackup}.`] : []),
    "What to type next:",
    ...steps.map(step => `    ${step}`),
  ];
  for (const line of lines) say(line);
}
