import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { memoryFrom, type RunMemory, runMemory } from "./next-run.ts";

/** What the schedule remembers in the backup directory, so that it outlives the container. */
export async function readRunMemory(settings: AgentSettings): Promise<RunMemory> {
  return memoryFrom(await readRecord(runMemory, runMemoryPath(settings)));
}

export async function writeRunMemory(settings: AgentSettings, memory: RunMemory): Promise<void> {
  await writeRecord(runMemoryPath(settings), memory);
}

function runMemoryPath({ backupDir, stack }: AgentSettings): string {
  return join(backupDir, `.schedule-${stack}.json`);
}
