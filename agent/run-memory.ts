import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "./durable-file.ts";
import { formatRunMemory, parseRunMemory, type RunMemory } from "./next-run.ts";
import type { AgentSettings } from "./settings.ts";

/** What the schedule remembers in the backup directory, so that it outlives the container. */
export async function readRunMemory(settings: AgentSettings): Promise<RunMemory> {
  return parseRunMemory(await readFile(pathOf(settings), "utf8").catch(() => null));
}

export async function writeRunMemory(settings: AgentSettings, memory: RunMemory): Promise<void> {
  await replaceFile(pathOf(settings), formatRunMemory(memory));
}

function pathOf({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.schedule-${stack}.json`);
}
