// npm run pulumi -- ANY ARGUMENTS: the Pulumi CLI with backend, passphrase and plugins known.
import { join } from "node:path";
import { toolchainEnvironment } from "./environment.ts";
import { STACK } from "./local-state.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain } from "./say.ts";
import { withoutSalt } from "./stack-file.ts";

await runMain(async () => {
  const env = await toolchainEnvironment();
  const stackFile = join(projectFolder, `Pulumi.${STACK}.yaml`);
  return withoutSalt(stackFile, () => runThrough("pulumi", process.argv.slice(2), env));
});
