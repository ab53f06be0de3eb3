import type { CatalogueEntry } from "../catalogue/catalogue.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { PointInTimeStatus } from "../point-in-time/status.ts";

const DAY_MS = 24 * 3_600_000;
/** A drill is due once a week, after the backup of that day. */
const PROOF_OLD_AFTER_MS = 9 * DAY_MS;

export interface NewestBackup {
  name: string;
  startedAt: string;
  finishedAt: string;
  bytes: number;
  reason: Manifest["reason"];
}

export interface ProvenBackup {
  name: string;
  startedAt: string;
  provenAt: string;
  /** How long the drill took; null where it was not measured. */
  seconds: number | null;
}

/** As it was measured last, and not as it was promised. */
export interface Recovery {
  /** What was committed later is lost when this machine's database is; null when nothing can be gone back to. */
  pointAt: string | null;
  /** How long the last restore took that a drill tried; null where none was measured. */
  seconds: number | null;
}

export function shownNewest({
  name,
  bytes,
  manifest,
}: CatalogueEntry & { manifest: Manifest }): NewestBackup {
  const { startedAt, finishedAt, reason } = manifest;
  return { name, startedAt, finishedAt, bytes, reason };
}

/** @param entries newest first */
export function newestProven(entries: readonly CatalogueEntry[]): ProvenBackup | null {
  for (const { name, manifest, drill, flaw } of entries) {
    if (manifest === null || flaw !== null || drill === null || drill === "unreadable") continue;
    if (drill.outcome !== "good") continue;
    const { startedAt } = manifest;
    return { name, startedAt, provenAt: drill.at, seconds: drill.seconds ?? null };
  }
  return null;
}

export function recoveryOf(
  newestAt: string | null,
  pointInTime: PointInTimeStatus | null,
  proven: ProvenBackup | null,
): Recovery {
  const moments = [newestAt, pointInTime?.latest ?? null].filter(at => at !== null);
  return { pointAt: moments.sort().at(-1) ?? null, seconds: proven?.seconds ?? null };
}

/** A backup counts only once it was restored. Nothing to say where there is none: that is a problem already. */
export function noteProof(entries: readonly CatalogueEntry[], now: Date): string[] {
  if (!entries.some(({ flaw }) => flaw === null)) return [];
  const lastAt = entries
    .flatMap(({ drill, flaw }) =>
      flaw === null && drill !== null && drill !== "unreadable" && drill.outcome === "good" ? [drill.at] : [],
    )
    .sort()
    .at(-1);
  if (lastAt === undefined)
    return ["No backup has been proven yet by restoring it. Prove one: npx budgie drill"];
  const days = Math.floor((now.getTime() - Date.parse(lastAt)) / DAY_MS);
  return now.getTime() - Date.parse(lastAt) > PROOF_OLD_AFTER_MS
    ? [`The last proof is ${days} days old. Prove the newest backup: npx budgie drill`]
    : [];
}
