import { humanSize } from "../base/reporter.ts";
import { shownAge } from "../base/shown-age.ts";
import { shownMinute } from "../base/shown-moment.ts";
import type { CatalogueEntry } from "../catalogue/catalogue.ts";
import type { RemoteEntry } from "../copies/remote-catalogue.ts";
import type { Verdict } from "../retention/retention.ts";
import type { SetAside } from "../server/set-aside.ts";

export function printList(entries: readonly CatalogueEntry[], directory: string): void {
  if (entries.length === 0)
    return void process.stdout.write(`No backups in ${directory}. Take one: npx budgie backup\n`);
  printTable(
    entries.map(({ name, bytes, manifest, flaw }) => {
      const tables = manifest ? `${manifest.tables.length} tables` : "";
      return [name, humanSize(bytes), manifest?.reason ?? "", tables, flaw ? `does not count: ${flaw}` : ""];
    }),
  );
}

export function printRemoteList(entries: readonly RemoteEntry[], store: string): void {
  if (entries.length === 0)
    return void process.stdout.write(`No backups in ${store}. Send them: npx budgie push\n`);
  printTable(
    entries.map(({ name, bytes, manifest, unopened, flaw, at, storageClass }) => [
      name,
      humanSize(bytes),
      manifest?.reason ?? "",
      manifest ? `${manifest.tables.length} tables` : unopened ? "encrypted" : "",
      `sent ${at?.slice(0, 16).replace("T", " ") ?? "at a time not known"}`,
      storageClass === "STANDARD" ? "" : storageClass,
      flaw ? `does not count: ${flaw}` : "",
    ]),
  );
}

export function printVerdicts(verdicts: readonly Verdict[]): void {
  printTable(verdicts.map(({ name, keep, reason }) => [name, keep ? "stays" : "goes", reason]));
}

export function printSetAside(found: readonly SetAside[], database: string): void {
  if (found.length === 0)
    return void process.stdout.write(`No restore has set a database aside for ${database}\n`);
  printTable(
    found.map(({ name, at, bytes }) => [
      name,
      humanSize(bytes),
      at === null
        ? "nobody knows since when"
        : `set aside ${shownMinute(at)}, ${shownAge(Date.now() - at.getTime())} ago`,
    ]),
  );
  process.stdout.write(
    `Bring the newest back: npx budgie restore --undo\nDelete some: npx budgie drop-previous ${found.at(-1)?.name}, or --older-than 30 (days)\n`,
  );
}

/** Columns as wide as their widest cell; those that are empty throughout are left out. */
function printTable(rows: readonly string[][]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => (row[column] ?? "").length)));
  for (const row of rows) {
    const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
    const line = cells.filter((_, column) => widths[column] !== 0).join("  ");
    process.stdout.write(`${line.trimEnd()}\n`);
  }
}
