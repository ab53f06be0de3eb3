// node toolchain/program.mjs COMMAND ...ARGUMENTS: one of the commands, once the packages are there.
import { runProgram } from "../shared/run-program.mjs";

const [command] = process.argv.splice(2, 1);
await runProgram(`toolchain/commands/${command}.ts`);
