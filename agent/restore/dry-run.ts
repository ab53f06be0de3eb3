import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { totalRows } from "../manifest/manifest.ts";
import { operate } from "../operation/operate.ts";
import { candidateName, dropLeftAtServer } from "../server/candidate.ts";
import { lookAtLive, withLookAfter } from "../server/live-look.ts";
import { countLive, type RowCounts } from "./count-live.ts";
import { withFilledCandidate } from "./fill-candidate.ts";
import { preflight } from "./preflight.ts";
import { withRestoreSource } from "./restore-source.ts";
import type { RestoreOptions, Restoring } from "./restoring.ts";
import { saveNothing } from "./safety-backup.ts";

/** As many tables are named to a person; a program is told of all. */
const SHOWN_TABLES = 20;

/** What a restore would do. */
export interface DryRun {
  dryRun: true;
  source: string;
  database: string;
  /** The live database; null where there is none. `rows` are those of the tables that could be counted. */
  now: Amount | null;
  /** What was loaded. */
  backup: Amount;
  /** The tables that are not in both, or have not as many rows in both. */
  tables: TableChange[];
  notCompared: string[];
  slotsLeftBehind: string[];
}

interface Amount {
  tables: number;
  rows: number;
}

interface TableChange {
  table: string;
  /** Its rows in the live database; null where it is not there, or could not be counted. */
  now: number | null | "not counted";
  /** Its rows in what was loaded; null where it is not there. */
  backup: number | null;
}

/**
 * Everything that a restore does up to the swap. Says what a restore would replace, and drops what was loaded. The live database is
 * only read. A kill leaves what a killed restore leaves, and the next operation clears it away.
 */
export function dryRun(settings: AgentSettings, options: RestoreOptions, report: Reporter): Promise<DryRun> {
  return operate(settings, { kind: "beside", name: "restore --dry-run" }, report, lock =>
    withRestoreSource(settings, options, report, async given => {
      const restoring = { settings, lock, report };
      const { source, known, slotsLeftBehind } = await preflight(restoring, options, given);
      const before = await lookAtLive(lock.session, settings);
      const filling = { source, known, candidate: candidateName(settings.database), save: saveNothing };
      try {
        const { content, compared } = await withFilledCandidate(
          restoring,
          options,
          filling,
          async filled => filled,
        );
        await dropLeftAtServer(lock.session, settings);
        report.info(`Step 4/5: counting what it would replace in ${settings.database}`);
        const live = await countLive(settings, lock);
        const found: DryRun = {
          dryRun: true,
          source: source.name,
          database: settings.database,
          now: live && { tables: live.size, rows: sum(live) },
          backup: { tables: content.tables.length, rows: totalRows(content.tables) },
          tables: changesBetween(live, rowsByTable(content.tables)),
          notCompared: compared.notCompared,
          slotsLeftBehind,
        };
        tell(found, restoring);
        return found;
      } catch (error) {
        throw await withLookAfter(error, before, lock.session, settings, null);
      }
    }),
  );
}

/** A partitioned table's rows can come in several blocks. */
function rowsByTable(tables: readonly { name: string; rows: number }[]): Map<string, number> {
  const rows = new Map<string, number>();
  for (const table of tables) rows.set(table.name, (rows.get(table.name) ?? 0) + table.rows);
  return rows;
}

export function changesBetween(now: RowCounts | null, backup: ReadonlyMap<string, number>): TableChange[] {
  const names = [...new Set([...(now?.keys() ?? []), ...backup.keys()])].sort();
  return names
    .map(table => {
      const counted = now?.get(table);
      return {
        table,
        now: counted === null ? ("not counted" as const) : (counted ?? null),
        backup: backup.get(table) ?? null,
      };
    })
    .filter(change => change.now !== change.backup);
}

function sum(counts: RowCounts): number {
  return [...counts.values()].reduce((total: number, rows) => total + (rows ?? 0), 0);
}

function tell({ source, database, now, backup, tables }: DryRun, { report }: Restoring): void {
  const was = now ? `${now.tables} tables, ${now.rows} rows` : "there is no such database";
  report.info(`${database} now: ${was}; in ${source}: ${backup.tables} tables, ${backup.rows} rows`);
  for (const { table, now: live, backup: loaded } of tables.slice(0, SHOWN_TABLES))
    report.info(`  ${table}: ${shownRows(live)} now, ${shownRows(loaded)} in the backup`);
  if (tables.length > SHOWN_TABLES)
    report.info(`  and ${tables.length - SHOWN_TABLES} more tables; --json names all`);
  if (tables.length === 0) report.info("Every table has as many rows in both; their values may differ");
  report.done(
    `Nothing was changed: this was a dry run. ${source} loads, and is what it was when it was taken. The same command without --dry-run restores it`,
  );
}

function shownRows(rows: TableChange["now"]): string {
  if (rows === null) return "not there";
  return rows === "not counted" ? "not counted (it is locked)" : `${rows} rows`;
}
