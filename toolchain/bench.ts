// npm run bench: what a backup costs beside plain pg_dump, in one paired run. BENCH_MB sets the dump's size, 500 by default.
import { join } from "node:path";
import { toolchainEnvironment } from "./environment.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain } from "./say.ts";

await runMain(async () => {
  const env = await toolchainEnvironment();
  return runThrough(process.execPath, ["--import", "tsx", join(projectFolder, "bench", "backup.ts")], env);
});
