import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { type RecordReading, readRecord, writeRecord } from "../base/json-record.ts";
import { manifestName } from "../manifest/backup-name.ts";

export const pinRecord = z.object({
  /** Null: until `unpin`. */
  until: z.iso.datetime().nullable(),
  pinnedAt: z.iso.datetime(),
});

/** The mark on a backup that retention must leave alone, until a time or for good. */
export type Pin = z.infer<typeof pinRecord>;

const FOR_GOOD: Pin = { until: null, pinnedAt: new Date(0).toISOString() };

/**
 * The file beside a backup that pins it: `budgie_20251125_092704.pin`. Each backup has its own, so that two commands at the
 * same time cannot lose each other's pins, and a backup that is copied elsewhere with its files is pinned there too.
 */
export function pinName(backup: string): string | null {
  return manifestName(backup)?.replace(/json$/, "pin") ?? null;
}

/** The pin on a backup; null when there is none. */
export async function readPin(settings: AgentSettings, backup: string): Promise<Pin | null> {
  return pinFrom(await readRecord(pinRecord, pinPath(settings, backup)));
}

/** A pin that cannot be read holds for good: somebody wanted the backup kept. */
export function pinFrom(reading: RecordReading<Pin>): Pin | null {
  if (reading.found) return reading.record;
  return reading.why === "absent" ? null : FOR_GOOD;
}

export async function writePin(settings: AgentSettings, backup: string, pin: Pin): Promise<void> {
  await writeRecord(pinPath(settings, backup), pin);
}

/** From then on retention may remove the backup. */
export async function removePin(settings: AgentSettings, backup: string): Promise<void> {
  await rm(pinPath(settings, backup), { force: true });
}

function pinPath({ backupDir }: AgentSettings, backup: string): string {
  const name = pinName(backup);
  if (name === null) throw new Error(`${backup} is not a backup's name`);
  return join(backupDir, name);
}
