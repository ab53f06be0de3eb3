import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "./durable-file.ts";
import { formatPin, type Pin, parsePin, pinName } from "./pins.ts";
import type { AgentSettings } from "./settings.ts";

/** The pin on a backup; null when there is none. One that cannot be read is one for good. */
export async function readPin(settings: AgentSettings, backup: string): Promise<Pin | null> {
  try {
    return parsePin(await readFile(pathOf(settings, backup), "utf8"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? null : parsePin("");
  }
}

export async function writePin(settings: AgentSettings, backup: string, pin: Pin): Promise<void> {
  await replaceFile(pathOf(settings, backup), formatPin(pin));
}

/** From then on retention may remove the backup. */
export async function removePin(settings: AgentSettings, backup: string): Promise<void> {
  await rm(pathOf(settings, backup), { force: true });
}

function pathOf({ backupDir }: AgentSettings, backup: string): string {
  const name = pinName(backup);
  if (name === null) throw new Error(`${backup} is not a backup's name`);
  return join(backupDir, name);
}
