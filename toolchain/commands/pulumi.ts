// npm run pulumi -- ANY ARGUMENTS: the Pulumi CLI with backend, passphrase and plugins known.

import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { STACK } from "../machine/local-state.ts";
import { needsOf } from "../machine/needs.ts";
import { runThrough } from "../machine/run-tool.ts";
import { runMain } from "../machine/say.ts";
import { keepState, upCall } from "./keep-state.ts";
import { filesWithoutSalt, withoutSalt } from "./stack-file.ts";

await runMain(async () => {
  const args = process.argv.slice(2);
  const env = await toolchainEnvironment({ needs: await needsOf(PROJECT_FOLDER, args) });
  const stackFile = join(PROJECT_FOLDER, `Pulumi.${STACK}.yaml`);
  // Whichever stack the arguments are about. A salt that another one has already is its operator's own.
  const files = new Set([stackFile, ...(await filesWithoutSalt(PROJECT_FOLDER))]);
  return withoutSalt([...files], async () => {
    const exitCode = await runThrough("pulumi", args, env);
    const called = upCall(args);
    if (exitCode === 0 && called) await keepState(env, called);
    return exitCode;
  });
});
