#!/usr/bin/env node
import { runProgram } from "../shared/run-program.mjs";

await runProgram("scripts/budgie.ts");
