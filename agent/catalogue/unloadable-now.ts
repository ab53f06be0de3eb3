import type { Manifest } from "../manifest/manifest.ts";
import { type CatalogueEntry, isOnlyUnloadable } from "./catalogue.ts";
import type { DrillRecord } from "./drill-record.ts";

/** The backup by whose drill it is known that the database, as it is, cannot be reloaded. */
export interface UnloadableNow {
  name: string;
  systemIdentifier: string;
  at: string;
  /** The object, and what is wrong with it. */
  why: string;
  repair: string[];
}

/**
 * Which backup shows that the database cannot be reloaded as it is. Null when a newer one is proven, when no drill ever found one
 * unloadable, and when another database is there since.
 * @param entries newest first
 */
export function unloadableNow(entries: readonly CatalogueEntry[]): UnloadableNow | null {
  let systemIdentifier: string | null = null;
  for (const entry of entries) {
    if (!counts(entry)) continue;
    const { name, manifest, drill, flaw } = entry;
    systemIdentifier ??= manifest.systemIdentifier;
    if (manifest.systemIdentifier !== systemIdentifier) return null;
    if (drill === null || drill === "unreadable") continue;
    if (flaw === null && drill.outcome === "good") return null;
    if (drill.outcome === "unloadable") return { name, systemIdentifier, ...told(drill) };
  }
  return null;
}

function counts(entry: CatalogueEntry): entry is CatalogueEntry & { manifest: Manifest } {
  return entry.manifest !== null && (entry.flaw === null || isOnlyUnloadable(entry));
}

function told({ at, why, repair }: DrillRecord): Pick<UnloadableNow, "at" | "why" | "repair"> {
  return { at, why: why ?? "it does not load", repair };
}

/** What to type, in lines that are printed below each other. */
export function repairLines({ repair }: Pick<UnloadableNow, "repair">): string[] {
  if (repair.length === 0)
    return ["The live database does not show it any more. Take a new backup: npx budgie backup"];
  return [
    "No other backup of this database can be reloaded either, before it is repaired. In `npx budgie psql`, after reading them:",
    ...repair.map(line => `  ${line}`),
    "Then: npx budgie backup, and npx budgie drill",
  ];
}
