import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { manifestName } from "./backup-name.ts";
import { replaceFile } from "./durable-file.ts";
import type { Manifest } from "./manifest.ts";
import type { AgentSettings } from "./settings.ts";

/**
 * How a backup's newest drill came out. It has a file of its own beside the backup: the manifest says what was taken, and
 * must stay byte for byte what was sent to the bucket, while this changes with each drill. One file a backup, so that a
 * damaged one says nothing of the others, and goes where its backup goes.
 *
 * A drill that could not run leaves it as it is: unknown is neither good nor bad.
 */
const drillRecord = z.object({
  at: z.iso.datetime(),
  outcome: z.enum(["good", "bad"]),
  /** What is wrong with it; null when it is good. */
  why: z.string().nullable(),
  /** The content that was tried, so that it does not judge another backup which gets the same name. */
  contentSha256: z.string(),
});

export type DrillRecord = z.infer<typeof drillRecord>;

/** `unreadable`: there is one, and what it said is not known. */
export type DrillOutcome = DrillRecord | "unreadable" | null;

/** How the backup's newest drill came out; null when none of this very content has ended. */
export async function drillOutcome(
  settings: AgentSettings,
  name: string,
  manifest: Pick<Manifest, "contentSha256">,
): Promise<DrillOutcome> {
  try {
    const record = drillRecord.parse(JSON.parse(await readFile(pathOf(settings, name), "utf8")));
    return record.contentSha256 === manifest.contentSha256 ? record : null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? null : "unreadable";
  }
}

export async function saveDrillOutcome(
  settings: AgentSettings,
  name: string,
  record: DrillRecord,
): Promise<void> {
  await replaceFile(pathOf(settings, name), `${JSON.stringify(record)}\n`);
}

/** For when other bytes come in the place of those that were drilled. */
export async function forgetDrill(settings: AgentSettings, name: string): Promise<void> {
  await rm(pathOf(settings, name), { force: true });
}

/** Why a backup does not count, as far as its drill goes; null when nothing speaks against it. */
export function drillFlaw(outcome: DrillOutcome): string | null {
  if (outcome === "unreadable") return "the record of its drill cannot be read";
  if (outcome?.outcome !== "bad") return null;
  return `failed its drill of ${outcome.at.slice(0, 10)}: ${outcome.why}`;
}

/** `budgie_20251125_092704.drill.json`, whether the dump was compressed since or not. */
export function drillRecordName(backup: string): string {
  return (manifestName(backup) ?? `${backup}.json`).replace(/\.json$/, ".drill.json");
}

function pathOf(settings: AgentSettings, name: string): string {
  return join(settings.backupDir, drillRecordName(name));
}
