// npm run bench [plain-tools|offsite|wal|loop]: what backups, restores and drills cost beside PostgreSQL's own tools, sending a backup
// beside `aws s3 cp`, a load while its WAL is received beside the same load alone, and a `pulumi up` that changes nothing beside that of
// an empty program, each in one paired run. BENCH_MB sets the sizes of the first two.
import { join } from "node:path";
import { Argument, Command } from "commander";
import { toolchainEnvironment } from "./environment.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain } from "./say.ts";

const BENCHES = ["plain-tools", "offsite", "wal", "loop"];

await runMain(async () => {
  const command = new Command("npm run bench --")
    .addArgument(new Argument("[bench...]", "what to measure").choices(BENCHES).default(BENCHES))
    .parse();
  const env = await toolchainEnvironment();
  for (const bench of command.processedArgs[0] as string[]) {
    const file = join(projectFolder, "bench", `${bench}.ts`);
    const code = await runThrough(process.execPath, ["--import", "tsx", file], env);
    if (code !== 0) return code;
  }
  return 0;
});
