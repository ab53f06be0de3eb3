import { type Manifest, totalRows } from "./manifest.ts";

/** Less than this share of what another backup holds, and somebody should look. */
const HALF = 0.5;
/** A handful of rows comes and goes. */
const FEW_ROWS = 20;

/** Whether so many rows are few beside what there was. */
export function areFarFewer(rows: number, before: number): boolean {
  return before > FEW_ROWS && rows < HALF * before;
}

/** Whether a backup holds a table that a later one has lost or has emptied, or more than twice its rows. */
export function holdsMore(backup: Manifest, later: Manifest): boolean {
  if (areFarFewer(totalRows(later.tables), totalRows(backup.tables))) return true;
  const left = new Map(later.tables.map(({ name, rows }) => [name, rows]));
  return backup.tables.some(({ name, rows }) => rows > FEW_ROWS && !left.get(name));
}
