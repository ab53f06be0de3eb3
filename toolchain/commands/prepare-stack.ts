import { execa } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { prepareLocalState, STACK, stackNames } from "../machine/local-state.ts";
import { ToolchainError } from "../machine/say.ts";
import { askPulumi } from "./ask-pulumi.ts";
import { stackNameBefore } from "./renamed-stack.ts";

/** Makes what a project folder lacks before its first `pulumi up`: state, passphrase, and the stack that `npm run up` runs. */
export async function prepareStack(env: NodeJS.ProcessEnv): Promise<void> {
  await prepareLocalState(PROJECT_FOLDER, env);
  await selectStack(env);
}

/** Another stack that the operator has selected stays selected. */
async function selectStack(env: NodeJS.ProcessEnv): Promise<void> {
  const names = await stackNames(PROJECT_FOLDER);
  if (!names.some(name => name.split("/").at(-1) === STACK)) {
    await requireNotRenamed(env, names);
    await askPulumi(env, ["stack", "init", STACK]);
  }
  const selected = await execa("pulumi", ["stack", "--show-name"], {
    cwd: PROJECT_FOLDER,
    env,
    reject: false,
  });
  if (selected.failed) await askPulumi(env, ["stack", "select", STACK]);
}

/** A stack of that name made anew would want the containers and the backups of the one that was called so before. */
async function requireNotRenamed(env: NodeJS.ProcessEnv, names: readonly string[]): Promise<void> {
  for (const name of names.map(name => name.split("/").at(-1) ?? name)) {
    const { deployment } = JSON.parse(await askPulumi(env, ["stack", "export", "--stack", name]));
    if (stackNameBefore(deployment) !== STACK) continue;
    throw new ToolchainError(
      `The stack ${STACK} is called ${name} now. Nothing was changed. Type: npm run pulumi -- up --stack ${name}`,
    );
  }
}
