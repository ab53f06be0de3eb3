import { readFile } from "node:fs/promises";
import { OPERATION_VARIABLE } from "../../shared/interruption.ts";
import { readProcesses, sendSignal } from "../server/processes.ts";

/** The program that every command of the agent runs in; its children, such as psql, are ended by it. */
const PROGRAM = "agent.cjs";

/**
 * Tells the command that was started with this mark to end, as Ctrl-C on its terminal would. The engine has no way to signal what
 * it runs inside a container. Returns whether there was one.
 */
export async function interrupt(operation: string): Promise<boolean> {
  const mark = `${OPERATION_VARIABLE}=${operation}`;
  for (const { pid, command } of await readProcesses()) {
    if (!command.some(word => word.endsWith(PROGRAM))) continue;
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (!environment.split("\0").includes(mark)) continue;
    sendSignal(pid, "SIGINT");
    return true;
  }
  return false;
}
