// npm run bench [backup|offsite|loop|wal]: what a backup costs beside plain pg_dump, what sending one costs beside `aws s3 cp`, and
// what a `pulumi up` that changes nothing costs beside that of an empty program, and what a load loses while its WAL is received,
// each in one paired run. BENCH_MB sets the size: 500 and 1000 by default.
import { join } from "node:path";
import { toolchainEnvironment } from "./environment.ts";
import { projectFolder } from "./project.ts";
import { runThrough } from "./run-tool.ts";
import { runMain } from "./say.ts";

const BENCHES = ["backup", "offsite", "loop", "wal"];

await runMain(async () => {
  const chosen = process.argv.slice(2).filter(argument => BENCHES.includes(argument));
  const env = await toolchainEnvironment();
  for (const bench of chosen.length > 0 ? chosen : BENCHES) {
    const file = join(projectFolder, "bench", `${bench}.ts`);
    const code = await runThrough(process.execPath, ["--import", "tsx", file], env);
    if (code !== 0) return code;
  }
  return 0;
});
