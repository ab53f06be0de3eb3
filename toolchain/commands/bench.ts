// npm run bench [plain-tools|recovery-rates|offsite|wal|loop]. Each but the second compares two things in one paired run: backups,
// restores and drills with PostgreSQL's own tools; what scaling is computed from, which is no comparison; sending a backup with
// `aws s3 cp`; a load while its WAL is received with the same load alone; a `pulumi up` that changes nothing with that of an empty program. BENCH_MB sets the sizes of the first two.

import { join } from "node:path";
import { Argument, Command } from "commander";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { runThrough } from "../machine/run-tool.ts";
import { runMain } from "../machine/say.ts";

const BENCHES = ["plain-tools", "recovery-rates", "offsite", "wal", "loop"];

await runMain(async () => {
  const command = new Command("npm run bench --")
    .addArgument(new Argument("[bench...]", "what to measure").choices(BENCHES).default(BENCHES))
    .parse();
  const env = await toolchainEnvironment();
  for (const bench of command.processedArgs[0] as string[]) {
    const file = join(PROJECT_FOLDER, "bench", `${bench}.ts`);
    const code = await runThrough(process.execPath, ["--import", "tsx", file], env);
    if (code !== 0) return code;
  }
  return 0;
});
