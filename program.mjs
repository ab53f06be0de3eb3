// What Pulumi runs: index.ts, and what that exports are the stack's outputs.
import { loadTypeScriptWhenUsed, skipTracesOfPromises } from "./shared/pulumi-start.mjs";
import { runProgram } from "./shared/run-program.mjs";

skipTracesOfPromises();
loadTypeScriptWhenUsed();

export default async () => ({ ...(await runProgram("index.ts")) });
