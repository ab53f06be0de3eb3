import pg from "pg";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { shownSecond } from "../base/shown-moment.ts";
import { previousDatabases } from "../server/set-aside.ts";

/** A restore warns of a transaction that is open for longer than this, before the swap ends it. */
const LONG_SECONDS = 60;

/** A program's transaction between PREPARE and COMMIT. No session holds it, so no session can be ended to be rid of it. */
export interface PreparedTransaction {
  gid: string;
  owner: string;
  since: Date;
}

interface LongTransaction {
  pid: number;
  user: string;
  application: string;
  since: Date;
}

/** How much WAL a logical slot keeps the server from removing. */
export interface SlotOfSetAside {
  slot: string;
  database: string;
  retainedBytes: number;
  /** The server has given it up, so it holds nothing back any more. */
  lost: boolean;
}

/**
 * Names what stands in the way of swapping the database, before anything is loaded. Throws a Stop for what would hold the
 * swap off for good; what the swap ends or leaves behind is a warning.
 */
export async function requireFreeWay(
  session: pg.Client,
  database: string,
  report: Reporter,
  longSeconds = LONG_SECONDS,
): Promise<{ slotsLeftBehind: string[] }> {
  const prepared = await preparedTransactions(session, database);
  if (prepared.length > 0) throw blockedBy(prepared, database);
  for (const transaction of await longTransactions(session, database, longSeconds))
    report.warn(describeLong(transaction, database));
  const slotsLeftBehind = await logicalSlots(session, database);
  for (const slot of slotsLeftBehind)
    report.warn(
      `The logical replication slot ${slot} will stay with the database that is set aside. It gets no change of the restored one, and the server keeps its WAL from then on until it is dropped: ${inPsql(dropSlot(slot))}`,
    );
  return { slotsLeftBehind };
}

/** Those of one database, oldest first. */
export async function preparedTransactions(
  session: pg.Client,
  database: string,
): Promise<PreparedTransaction[]> {
  const { rows } = await session.query<PreparedTransaction>(
    "SELECT gid, owner::text, prepared AS since FROM pg_prepared_xacts WHERE database = $1 ORDER BY prepared, gid",
    [database],
  );
  return rows;
}

/** What a status says of them. They hold their locks until somebody ends them, even across a restart of the server. */
export function describePrepared(prepared: readonly PreparedTransaction[], database: string): string[] {
  if (prepared.length === 0) return [];
  return [
    `${namesOf(prepared, database)} No restore can take ${database}'s place while it is there. ${howToEnd(prepared)}`,
  ];
}

/** The logical slots of the databases that restores set aside. Their readers are gone, and they go on holding back WAL. */
export async function slotsOfSetAside(session: pg.Client, database: string): Promise<SlotOfSetAside[]> {
  const { rows } = await session.query<{
    slot_name: string;
    database: string;
    wal_status: string | null;
    retained: string | null;
  }>(
    `SELECT slot_name, database, wal_status, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS retained
       FROM pg_replication_slots WHERE slot_type = 'logical' AND database = ANY($1) ORDER BY slot_name`,
    [await previousDatabases(session, database)],
  );
  return rows.map(row => ({
    slot: row.slot_name,
    database: row.database,
    retainedBytes: Number(row.retained ?? 0),
    lost: row.wal_status === "lost",
  }));
}

export function describeSlot({ slot, database, retainedBytes, lost }: SlotOfSetAside): string {
  const drop = `If nobody reads from it any more, drop it: ${inPsql(dropSlot(slot))}`;
  return lost
    ? `The replication slot ${slot} of ${database} is lost. ${drop}`
    : `The replication slot ${slot} of ${database}, which a restore set aside, keeps the server from removing WAL (${humanSize(retainedBytes)}, and growing). ${drop}`;
}

async function longTransactions(
  session: pg.Client,
  database: string,
  seconds: number,
): Promise<LongTransaction[]> {
  const { rows } = await session.query<LongTransaction>(
    `SELECT pid, usename::text AS user, application_name AS application, xact_start AS since FROM pg_stat_activity
      WHERE datname = $1 AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND xact_start < now() - make_interval(secs => $2) ORDER BY xact_start`,
    [database, seconds],
  );
  return rows;
}

function describeLong({ pid, user, application, since }: LongTransaction, database: string): string {
  const whose = application ? `${user}, ${application}` : user;
  return `A transaction is open in ${database} since ${shownSecond(since)} (pid ${pid}, ${whose}). The swap ends its session: what it has not committed by then is in neither database. To end it now: ${inPsql(`SELECT pg_terminate_backend(${pid})`)}`;
}

async function logicalSlots(session: pg.Client, database: string): Promise<string[]> {
  const { rows } = await session.query<{ slot_name: string }>(
    "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND database = $1 ORDER BY slot_name",
    [database],
  );
  return rows.map(({ slot_name }) => slot_name);
}

function blockedBy(prepared: readonly PreparedTransaction[], database: string): Stop {
  return new Stop(
    EXIT.busy,
    `${namesOf(prepared, database)} PostgreSQL renames no database that holds one, so no restore can take its place.`,
    howToEnd(prepared),
  );
}

function namesOf(prepared: readonly PreparedTransaction[], database: string): string {
  const each = prepared.map(({ gid, owner, since }) => `${gid} (of ${owner}, since ${shownSecond(since)})`);
  const what = prepared.length === 1 ? "a prepared transaction" : `${prepared.length} prepared transactions`;
  return `${database} holds ${what}: ${each.join(", ")}.`;
}

/** Only whoever prepared it knows which of the two is right. */
function howToEnd(prepared: readonly PreparedTransaction[]): string {
  const lines = prepared.map(({ gid }) => {
    const literal = pg.escapeLiteral(gid).trim();
    return `COMMIT PREPARED ${literal}; or ROLLBACK PREPARED ${literal};`;
  });
  return `Ask whoever prepared it which is right, then type it in \`npx budgie psql\`: ${lines.join(" And ")}`;
}

function dropSlot(slot: string): string {
  return `SELECT pg_drop_replication_slot(${pg.escapeLiteral(slot)})`;
}

function inPsql(statement: string): string {
  return `npx budgie psql -- -c "${statement}"`;
}
