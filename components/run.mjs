// node components/run.mjs STEP: a step of `pulumi up`, which is a script of this folder.
import { runProgram } from "../shared/run-program.mjs";

await runProgram(`components/${process.argv[2]}.ts`);
