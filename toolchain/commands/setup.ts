// npm run setup: everything that `npm run up` does before `pulumi up`; safe to repeat.

import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { STACK } from "../machine/local-state.ts";
import { needsOf } from "../machine/needs.ts";
import { runMain, sayDone } from "../machine/say.ts";
import { prepareStack } from "./prepare-stack.ts";
import { withoutSalt } from "./stack-file.ts";

await runMain(async () => {
  const needs = await needsOf(PROJECT_FOLDER, process.argv.slice(2));
  const env = await toolchainEnvironment({ report: true, needs });
  await withoutSalt([join(PROJECT_FOLDER, `Pulumi.${STACK}.yaml`)], () => prepareStack(env));
  sayDone(`The tools and the stack ${STACK} are there.`);
  return 0;
});
