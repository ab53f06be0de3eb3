import type { CatalogueEntry } from "./catalogue.ts";
import type { PointInTimeStatus } from "./point-in-time-status.ts";
import type { RemoteEntry } from "./remote-catalogue.ts";
import { humanSize, type Reporter } from "./reporter.ts";
import type { Verdict } from "./retention.ts";
import { type NextBackup, shown } from "./schedule-status.ts";
import { shownMoment } from "./shown-moment.ts";
import type { Status } from "./status.ts";

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

export function printStatus(status: Status, report: Reporter): void {
  const { database, backups, offsite, offsiteSsh } = status;
  if (database)
    report.info(`Database ${database.name}: ${database.tables} tables, ${humanSize(database.bytes)}`);
  for (const name of status.previousDatabases) report.info(`Kept from before a restore: ${name}`);
  const newest = backups.newest
    ? `, the newest of ${backups.newest.finishedAt.slice(0, 16).replace("T", " ")} UTC`
    : "";
  report.info(
    `Backups in ${backups.directory}: ${backups.count}${newest}, ${humanSize(backups.freeBytes)} free`,
  );
  if (status.next) report.info(`Next backup: ${whenNext(status.next)}`);
  if (status.pointInTime) report.info(`Point in time: ${reach(status.pointInTime)}`);
  if (offsite) report.info(`Copies in ${offsite.store}: ${missing(offsite.missing)}`);
  if (offsiteSsh) report.info(`Copies at ${offsiteSsh.target}: ${missing(offsiteSsh.missing)}`);
  for (const warning of status.warnings) report.info(`Note: ${warning}`);
  for (const problem of status.problems) report.warn(problem);
  if (status.fine) report.done("Everything is as it should be");
}

function whenNext({ at, why }: NonNullable<NextBackup>): string {
  return `${shown(new Date(at))}${why === "due" ? "" : ` (${why})`}`;
}

function reach({ earliest, latest, receiving, slotLagBytes, baseBackups }: PointInTimeStatus): string {
  const range =
    earliest && latest
      ? `every moment from ${shownMoment(Date.parse(earliest))} to ${shownMoment(Date.parse(latest))}`
      : "no moment yet";
  const lag = slotLagBytes === null ? "" : `, ${humanSize(slotLagBytes)} behind`;
  return `${range}; ${receiving ? `WAL is received${lag}` : "WAL is not received"}, base backups: ${baseBackups}`;
}

function missing(count: number): string {
  return count === 0 ? "of every backup" : `${count} missing`;
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
