import { timeInName } from "../manifest/backup-time.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import type { Pin } from "./pin.ts";

/** How far a name's time may be from its manifest's, or ahead of the clock, before neither is believed. */
export const TIME_TOLERANCE_MS = 3_600_000;

/**
 * What a drill found. `unloadable`: its rows are there, but PostgreSQL does not take them back until something is repaired.
 * `unknown`: the drill could not run, which says nothing about the backup.
 */
export interface Proof {
  at: string;
  outcome: "good" | "bad" | "unloadable" | "unknown";
}

/** A backup, and all that retention asks about it. Its `flaw` is what speaks against it apart from a drill. */
export interface KeptBackup extends Pick<CatalogueEntry, "name" | "manifest" | "flaw"> {
  /** The newest drill's finding; null when there was none. */
  proven: Proof | null;
  pin: Pin | null;
  /** The places that are to have a copy and are not known to. Empty where the stack keeps no copies. */
  lacksCopyIn: readonly string[];
}

/** A backup of this stack and its database that the agent wrote and nobody changed, with the time at which it was taken. */
export interface JudgedBackup extends KeptBackup {
  at: number;
}

/** The backup, if it can be judged; else why not. Then it counts for nothing, and the agent never removes it. */
export function judgeBackup(backup: KeptBackup): JudgedBackup | string {
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

/** It is kept like one that nobody has tried: its rows can be got back by hand. */
export function isUnloadable({ proven }: KeptBackup): boolean {
  return proven?.outcome === "unloadable";
}
