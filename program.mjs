// What Pulumi runs: index.ts, and what that exports are the stack's outputs.
import { runProgram } from "./shared/run-program.mjs";

export default async () => ({ ...(await runProgram("index.ts")) });
