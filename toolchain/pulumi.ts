// npm run pulumi -- ANY ARGUMENTS: the Pulumi CLI with backend, passphrase and plugins known.
import { toolchainEnvironment } from "./environment.ts";
import { runThrough } from "./run-tool.ts";
import { runMain } from "./say.ts";

await runMain(async () => runThrough("pulumi", process.argv.slice(2), await toolchainEnvironment()));
