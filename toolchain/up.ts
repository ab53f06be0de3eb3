// npm run up: everything from a fresh clone to a running stack; safe to repeat.
import { join } from "node:path";
import { execa } from "execa";
import { toolchainEnvironment } from "./environment.ts";
import { prepareLocalState, STACK, stackNames } from "./local-state.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain, say, sayDone, ToolchainError } from "./say.ts";
import { withoutSalt } from "./stack-file.ts";

await runMain(async () => {
  const env = await toolchainEnvironment({ report: true });
  await prepareLocalState(projectFolder, env);
  return withoutSalt(join(projectFolder, `Pulumi.${STACK}.yaml`), async () => {
    await selectStack(env);
    const upArguments = ["up", "--stack", STACK, "--yes", "--skip-preview", "--suppress-outputs"];
    const exitCode = await runThrough("pulumi", [...upArguments, ...process.argv.slice(2)], env);
    if (exitCode === 0) await sayWhatIsThere(env);
    return exitCode;
  });
});

/** Another stack that the operator has selected stays selected. */
async function selectStack(env: NodeJS.ProcessEnv): Promise<void> {
  const names = await stackNames(projectFolder);
  if (!names.some(name => name.split("/").at(-1) === STACK)) await pulumi(env, ["stack", "init", STACK]);
  const selected = await execa("pulumi", ["stack", "--show-name"], {
    cwd: projectFolder,
    env,
    reject: false,
  });
  if (selected.failed) await pulumi(env, ["stack", "select", STACK]);
}

async function pulumi(env: NodeJS.ProcessEnv, args: string[]): Promise<string> {
  const result = await execa("pulumi", [...args, "--non-interactive"], {
    cwd: projectFolder,
    env,
    reject: false,
  });
  if (result.failed) throw new ToolchainError(`pulumi ${args.join(" ")} failed:\n${result.stderr}`);
  return result.stdout;
}

/** From the stack's own outputs, as far as they are there. */
async function sayWhatIsThere(env: NodeJS.ProcessEnv): Promise<void> {
  const json = await pulumi(env, ["stack", "output", "--json", "--stack", STACK]);
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
