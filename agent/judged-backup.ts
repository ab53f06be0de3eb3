import { timeInName } from "./backup-time.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import type { Pin } from "./pins.ts";

/** How far a name's time may be from its manifest's, or ahead of the clock, before neither is believed. */
export const TIME_TOLERANCE_MS = 3_600_000;

/** What a drill found. `unknown`: it could not be carried out, which says nothing about the backup. */
export interface Proof {
  at: string;
  outcome: "good" | "bad" | "unknown";
}

/** A backup, and all that retention asks about it. Its `flaw` is what speaks against it apart from a drill. */
export interface KeptBackup extends Pick<CatalogueEntry, "name" | "manifest" | "flaw"> {
  /** The newest drill's finding; null when there was none. */
  proven: Proof | null;
  pin: Pin | null;
  /** The places that are to have a copy and are not known to. Empty where the stack keeps no copies. */
  lacksCopyIn: readonly string[];
}

/** One that the agent wrote and nobody changed, of this stack and its database, with the time at which it was taken. */
export interface JudgedBackup extends KeptBackup {
  at: number;
}

/** The backup as one that can be judged, or why it cannot: then it counts for nothing, and is not the agent's to remove. */
export function judge(backup: KeptBackup): JudgedBackup | string {
  const { name, manifest, flaw } = backup;
  const at = timeInName(name);
  if (at === null) return "its name holds no time";
  if (flaw !== null) return flaw;
  if (manifest === null) return "no manifest";
  if (manifest.file !== name) return `changed by hand since it was written as ${manifest.file}`;
  if (Math.abs(new Date(manifest.startedAt).getTime() - at) > TIME_TOLERANCE_MS)
    return `its manifest says that it was taken at ${manifest.startedAt}`;
  return { ...backup, at };
}

export function isBad({ proven }: KeptBackup): boolean {
  return proven?.outcome === "bad";
}

export function isProven({ proven }: KeptBackup): boolean {
  return proven?.outcome === "good";
}
