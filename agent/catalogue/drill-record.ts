import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { readRecord, writeRecord } from "../base/json-record.ts";
import { manifestName } from "../manifest/backup-name.ts";
import type { Manifest } from "../manifest/manifest.ts";

/**
 * How a backup's newest drill came out, or that `verify` has found it damaged since. The record has a file of its own beside the
 * backup: it changes with each drill, while the manifest must stay, byte for byte, what was sent to the bucket. There is one
 * file for each backup, so that a damaged record says nothing of the others, and each goes where its backup goes.
 *
 * A drill that could not run leaves the record as it is: unknown is neither good nor bad.
 */
const drillRecord = z.object({
  at: z.iso.datetime(),
  /** `verify` alone reads the file, and so can only find it bad. Older records are all of drills. */
  by: z.enum(["drill", "verify"]).default("drill"),
  outcome: z.enum(["good", "bad", "unloadable"]),
  /** What is wrong with it; null when it is good. */
  why: z.string().nullable(),
  /** What to type to repair the database, for an unloadable backup. Older records lack it. */
  repair: z.array(z.string()).default([]),
  /** The content that was tried: the record does not judge another backup that gets the same name. */
  contentSha256: z.string(),
  /** How long the drill took: as long as a restore, about. Older records lack it, and so do those of `verify`. */
  seconds: z.number().nonnegative().optional(),
});

export type DrillRecord = z.infer<typeof drillRecord>;

/** `unreadable`: there is one, and what it said is not known. */
export type DrillOutcome = DrillRecord | "unreadable" | null;

/** How the backup's newest drill came out. Null when no drill of this very content has ended. */
export async function drillOutcome(
  settings: AgentSettings,
  name: string,
  manifest: Pick<Manifest, "contentSha256">,
): Promise<DrillOutcome> {
  const reading = await readRecord(drillRecord, drillRecordPath(settings, name));
  if (!reading.found) return reading.why === "absent" ? null : "unreadable";
  return reading.record.contentSha256 === manifest.contentSha256 ? reading.record : null;
}

export async function saveDrillOutcome(
  settings: AgentSettings,
  name: string,
  record: DrillRecord,
): Promise<void> {
  await writeRecord(drillRecordPath(settings, name), record);
}

/** Call it when other bytes take the place of those that were drilled. */
export async function forgetDrill(settings: AgentSettings, name: string): Promise<void> {
  await rm(drillRecordPath(settings, name), { force: true });
}

/**
 * Why a backup does not count, by its drill; null when its drill says nothing against it. An unloadable backup does not count
 * either, because no restore takes it as it is. Retention keeps it like a good one all the same.
 */
export function drillFlaw(outcome: DrillOutcome): string | null {
  if (outcome === "unreadable") return "the record of its drill cannot be read";
  if (outcome === null || outcome.outcome === "good") return null;
  const day = outcome.at.slice(0, 10);
  if (outcome.by === "verify") return `found damaged by verify on ${day}: ${outcome.why}`;
  if (outcome.outcome === "bad") return `failed its drill of ${day}: ${outcome.why}`;
  return `cannot be reloaded, says its drill of ${day}: ${outcome.why}`;
}

/** `budgie_20251125_092704.drill.json`, whether or not the dump was compressed since. */
export function drillRecordName(backup: string): string {
  return (manifestName(backup) ?? `${backup}.json`).replace(/\.json$/, ".drill.json");
}

function drillRecordPath(settings: AgentSettings, name: string): string {
  return join(settings.backupDir, drillRecordName(name));
}
