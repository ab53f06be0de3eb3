import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { type BackendImage, backendImage } from "../manifest/manifest.ts";

/** Beside the records of backups, which end in .json. */
const FILE = "running-backend";

/** What the last `up` has seen serve. The agent itself cannot ask the engine. Null where no `up` has said so. */
export async function readRunningBackend(settings: AgentSettings): Promise<BackendImage | null> {
  const reading = await readRecord(backendImage, join(settings.recordsDir, FILE));
  return reading.found ? reading.record : null;
}

export async function noteRunningBackend(settings: AgentSettings, image: BackendImage): Promise<void> {
  await mkdir(settings.recordsDir, { recursive: true, mode: 0o700 });
  await writeRecord(join(settings.recordsDir, FILE), image);
}
