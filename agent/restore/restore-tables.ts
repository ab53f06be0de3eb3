import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { RESERVED_BYTES } from "../../shared/reserved-bytes.ts";
import { refuse } from "../base/refuse.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { operate } from "../operation/operate.ts";
import { candidateName, dropLeftAtServer } from "../server/candidate.ts";
import { withServerClient } from "../server/client-programs.ts";
import { databaseExists, inDatabase } from "../server/connection.ts";
import type { Lock } from "../server/database-lock.ts";
import { serverFreeBytes } from "../server/free-bytes.ts";
import { lookAtLive, withLookAfter } from "../server/live-look.ts";
import { freeSchemaName, momentOfSource } from "./copy-schema.ts";
import { copyTables, nameOfCopy } from "./copy-tables.ts";
import { withFilledCandidate } from "./fill-candidate.ts";
import { mayGoOnAtOnce } from "./load-candidate.ts";
import { preflightBeside } from "./preflight.ts";
import { withRestoreSource } from "./restore-source.ts";
import type { Filled, Filling, RestoreOptions, Restoring } from "./restoring.ts";
import { saveNothing } from "./safety-backup.ts";
import { readShape, type TableShape } from "./table-shape.ts";
import { relationsIn, wantedTables } from "./wanted-tables.ts";
import { type WayOn, wayOn } from "./way-on.ts";

const SESSION = "budgie restore --table";

/** What was copied into the live database. */
export interface TablesCopied {
  source: string;
  database: string;
  /** The schema that holds the copies. */
  schema: string;
  tables: CopiedTable[];
  /** The statement that removes them. */
  drop: string;
  notCompared: string[];
}

interface CopiedTable extends WayOn {
  /** In the backup. */
  table: string;
  copy: string;
  rows: number;
  leftOut: string[];
}

/**
 * Copies single tables of a backup into a new schema of the live database. The whole backup is loaded and compared beside, as for a
 * restore; then the rows go over in one transaction. What is in the live database already is only read.
 */
export function restoreTables(
  settings: AgentSettings,
  options: RestoreOptions,
  names: readonly string[],
  report: Reporter,
): Promise<TablesCopied> {
  return operate(settings, { kind: "beside", name: "restore --table" }, report, async lock => {
    await requireLive(lock, settings);
    await inDatabase(settings, settings.database, SESSION, requireUnpublished);
    return withRestoreSource(settings, options, report, async given => {
      const restoring = { settings, lock, report };
      const { source, known } = await preflightBeside(restoring, options, given);
      const filling = { source, known, candidate: candidateName(settings.database), save: saveNothing };
      await requireMemory(restoring, filling);
      const before = await lookAtLive(lock.session, settings);
      try {
        const copied = await withFilledCandidate(restoring, options, filling, filled =>
          copyOver(restoring, options, filling, filled, names),
        );
        // The copy is there: what stays of the load, the next operation clears away.
        await dropLeftAtServer(lock.session, settings).catch(() => undefined);
        tell(copied, report);
        return copied;
      } catch (error) {
        throw await withLookAfter(error, before, lock.session, settings, null);
      }
    });
  });
}

async function copyOver(
  { settings, lock, report }: Restoring,
  options: RestoreOptions,
  { source, candidate }: Filling,
  { content, compared }: Filled,
  names: readonly string[],
): Promise<TablesCopied> {
  const { database } = settings;
  const shapes = await inDatabase(settings, candidate, SESSION, async session => {
    const wanted = wantedTables(await relationsIn(session), names, source.name);
    const found: TableShape[] = [];
    for (const table of wanted) found.push(await readShape(session, table));
    return found;
  });
  await requireRoom(lock, shapes);
  return inDatabase(settings, database, SESSION, async session => {
    const schema = await freeSchemaName(session, momentOfSource(options, source));
    report.info(`Step 4/5: copying ${shapes.map(({ qualified }) => qualified).join(", ")} into ${schema}`);
    const lcMonetary = source.manifest?.lcMonetary ?? null;
    const asReplica = await keepsFromTriggers(session, database);
    const rows = await withServerClient(settings, null, client =>
      copyTables(
        { from: candidate, to: database, schema, client, content, lcMonetary, asReplica, signal: lock.lost },
        shapes,
      ),
    );
    const tables: CopiedTable[] = [];
    for (const shape of shapes) {
      const copy = nameOfCopy(schema, shape);
      const { qualified: table, leftOut } = shape;
      tables.push({
        table,
        copy,
        rows: rows.get(shape) ?? 0,
        leftOut,
        ...(await wayOn(session, shape, copy)),
      });
    }
    const drop = `DROP SCHEMA ${schema} CASCADE;`;
    return { source: source.name, database, schema, tables, drop, notCompared: compared.notCompared };
  });
}

/**
 * Whether the new tables can be kept from the live database's event triggers. A superuser always can. Throws a Stop where there are
 * any and the role cannot: on a server that Amazon runs, it depends on Amazon's rules.
 */
async function keepsFromTriggers(session: pg.Client, database: string): Promise<boolean> {
  try {
    await session.query("SET session_replication_role = replica");
    await session.query("RESET session_replication_role");
    return true;
  } catch (error) {
    const { rows } = await session.query<{ name: string }>(
      "SELECT evtname::text AS name FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1",
    );
    if (rows.length === 0) return false;
    const names = rows.map(({ name }) => name).join(", ");
    throw refuse(
      `${database} has event triggers (${names}), which would hear of the copied tables, and the role may not keep them from that: ${(error as Error).message}`,
      "Switch them off meanwhile, as their owner: ALTER EVENT TRIGGER … DISABLE; then run the same command again.",
    );
  }
}

async function requireLive({ session }: Lock, { database }: AgentSettings): Promise<void> {
  if (await databaseExists(session, database)) return;
  throw refuse(
    `There is no database ${database} to copy a table into`,
    "Restore the whole backup: the same command without --table.",
  );
}

/** Rows are written out and read in at once. */
async function requireMemory(restoring: Restoring, filling: Filling): Promise<void> {
  if (await mayGoOnAtOnce(restoring, filling)) return;
  const { longestRow } = filling.known;
  throw new Stop(
    EXIT.failed,
    `A row of ${longestRow?.table ?? filling.source.name} is too long for this server's memory to write it out and to read it in at once.`,
    "Load the whole backup beside instead: the same command with --into NAME instead of --table.",
  );
}

async function requireRoom({ session }: Lock, shapes: readonly TableShape[]): Promise<void> {
  const needed = Math.ceil(shapes.reduce((sum, { bytes }) => sum + bytes, 0) * 1.1) + RESERVED_BYTES;
  const free = await serverFreeBytes(session);
  if (free === null || free >= needed) return;
  throw new Stop(
    EXIT.noSpace,
    `Not enough space on the database's disk for a copy of the tables: about ${humanSize(needed)} are needed, ${humanSize(free)} are free.`,
    "Free some space there, then run the same command again.",
  );
}

/** New tables would be sent to its subscribers, whose replication ends at a table that they do not have. */
async function requireUnpublished(session: pg.Client): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    "SELECT pubname::text AS name FROM pg_publication WHERE puballtables ORDER BY 1",
  );
  if (rows.length === 0) return;
  throw new Stop(
    EXIT.notConfirmed,
    `The publication ${rows.map(({ name }) => name).join(", ")} is FOR ALL TABLES: a copy would be sent to its subscribers, and their replication stops at a table that they do not have.`,
    "Load the backup into a database of its own instead: the same command with --into NAME instead of --table.",
  );
}

function tell({ source, database, schema, tables, drop }: TablesCopied, report: Reporter): void {
  for (const { table, copy, rows, leftOut, says, take } of tables) {
    report.done(`${table} of ${source} is there as ${copy}. Rows: ${rows}, each compared with the backup`);
    if (leftOut.length > 0) report.info(`  Left out of the copy: ${leftOut.join(", ")}`);
    report.info(`  ${says}, in \`npx budgie psql\`: ${take}`);
  }
  report.info(`Nothing else in ${database} was changed. Backups hold ${schema} too, until it is deleted`);
  report.info(`Delete it when you are done, in \`npx budgie psql\`: ${drop}`);
}
