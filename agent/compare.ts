import type { DumpFingerprint, TableFingerprint } from "./dump-fingerprint.ts";

/** Part of a fingerprint that a manifest keeps as well. */
export type Recorded = Pick<DumpFingerprint, "tables" | "schemaSha256" | "pgDumpVersion">;

export interface Comparison {
  /** One line for each difference; empty when all that was compared is the same. */
  differences: string[];
  /** What could not be compared, and why; empty when everything was. */
  notCompared: string[];
}

/**
 * Compares a restored database's own dump with what was recorded when the backup was taken, table by table, then
 * everything else at once. `ownDump` is false for a dump that this agent did not write: its options are not known, so
 * its schema text and the tables that it filled by INSERT cannot be compared.
 */
export function compareDumps(recorded: Recorded, restored: Recorded, ownDump: boolean): Comparison {
  const differences: string[] = [];
  const notCompared: string[] = [];
  const found = new Map(restored.tables.map(table => [table.copy, table]));
  for (const table of recorded.tables) {
    const difference = compareTable(table, found.get(table.copy));
    if (difference) differences.push(difference);
    found.delete(table.copy);
  }
  for (const extra of found.values()) {
    if (ownDump) differences.push(`${extra.name} is not in the backup`);
    else if (extra.rows > 0)
      notCompared.push(`${extra.name} (${extra.rows} rows): the file fills it without COPY`);
  }
  if (!ownDump) {
    notCompared.push("schema and sequences: the file has no manifest");
  } else if (recorded.schemaSha256 !== restored.schemaSha256) {
    // Another version may only say the same in other words.
    if (recorded.pgDumpVersion === restored.pgDumpVersion)
      differences.push("the schema or a sequence's position");
    else
      notCompared.push(
        `schema and sequences: written by pg_dump ${recorded.pgDumpVersion}, compared with ${restored.pgDumpVersion}`,
      );
  }
  return { differences, notCompared };
}

function compareTable(recorded: TableFingerprint, restored: TableFingerprint | undefined): string | null {
  if (!restored) return `${recorded.name} is missing, or has other columns`;
  if (restored.rows !== recorded.rows)
    return `${recorded.name} has ${restored.rows} rows instead of ${recorded.rows}`;
  if (restored.sha256 !== recorded.sha256)
    return `${recorded.name} has the right number of rows, but other values`;
  return null;
}
