import type { CatalogueEntry } from "../catalogue/catalogue.ts";
import { areFarFewer } from "../manifest/holds-more.ts";
import { type Manifest, totalRows } from "../manifest/manifest.ts";

/** So many of the backups before it are looked at: what has shrunk over weeks is seen, too. */
const BEFORE = 7;
const SHOWN_TABLES = 5;

type Taken = CatalogueEntry & { manifest: Manifest };

/**
 * What the newest backup lacks of what those before it held: a table that is gone or emptied, or half of all rows. The database
 * may have been emptied, by hand or by a program that went wrong, and days later no backup has the rows any more.
 * @param entries newest first
 */
export function noteSizeDrop(entries: readonly CatalogueEntry[]): string[] {
  const taken = entries.filter((entry): entry is Taken => entry.manifest !== null && entry.flaw === null);
  const [newest, ...rest] = taken;
  if (!newest) return [];
  const { systemIdentifier, database } = newest.manifest;
  const before = rest
    .filter(
      ({ manifest }) => manifest.systemIdentifier === systemIdentifier && manifest.database === database,
    )
    .slice(0, BEFORE);
  const fullest = before.reduce<Taken | null>(
    (most, entry) => (most === null || rowsOf(entry) > rowsOf(most) ? entry : most),
    null,
  );
  const lost = lostTables(newest, before);
  const shrunk = fullest !== null && areFarFewer(rowsOf(newest), rowsOf(fullest));
  if (fullest === null || (lost.length === 0 && !shrunk)) return [];
  const says = [
    `${newest.name} holds ${rowsOf(newest)} rows`,
    shrunk ? `${fullest.name} held ${rowsOf(fullest)}` : null,
    lost.length > 0 ? lost.slice(0, SHOWN_TABLES).join(", ") : null,
    lost.length > SHOWN_TABLES ? `and ${lost.length - SHOWN_TABLES} more tables` : null,
  ].filter(Boolean);
  return [
    `${says.join("; ")}. If that was not meant, keep the fuller one for good: npx budgie pin ${lost.length > 0 ? holderOf(newest, before).name : fullest.name}`,
  ];
}

/** Each table that is gone or emptied, with what it held. */
function lostTables(newest: Taken, before: readonly Taken[]): string[] {
  const now = new Map(newest.manifest.tables.map(({ name, rows }) => [name, rows]));
  const most = new Map<string, number>();
  for (const { manifest } of before)
    for (const { name, rows } of manifest.tables) most.set(name, Math.max(rows, most.get(name) ?? 0));
  return [...most].flatMap(([name, rows]) => {
    if (rows === 0 || now.get(name)) return [];
    return [`table ${name} (${rows} rows) is ${now.has(name) ? "empty" : "gone"}`];
  });
}

/** The newest one that still holds the table that was lost first. */
function holderOf(newest: Taken, before: readonly Taken[]): Taken {
  const now = new Map(newest.manifest.tables.map(({ name, rows }) => [name, rows]));
  const holds = ({ manifest }: Taken) => manifest.tables.some(({ name, rows }) => rows > 0 && !now.get(name));
  return before.find(holds) ?? newest;
}

function rowsOf({ manifest }: Taken): number {
  return totalRows(manifest.tables);
}
