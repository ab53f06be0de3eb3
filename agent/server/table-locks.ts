import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { shownSecond } from "../base/shown-moment.ts";
import { connect } from "./connection.ts";

/** Who holds tables so that nobody else can even read them, or stands in the line before everybody else to do so. */
export interface TableHolder {
  /** Null for a prepared transaction, which belongs to no session. */
  pid: number | null;
  gid: string | null;
  user: string | null;
  application: string | null;
  address: string | null;
  since: Date | null;
  tables: string[];
  /** False for one that waits itself. It is the others that it waits for who must end. */
  granted: boolean;
  waitsFor: number[];
}

/** What PostgreSQL says when a table was waited for too long; pg_dump says it of a statement. */
const WAITED_IN_VAIN = /canceling statement due to (?:lock|statement) timeout/;

/**
 * Adds to the failure of a backup that waited for a table in vain who holds the table, since when, and what ends that. Any other
 * failure is returned as it is.
 */
export async function namingTableHolders(settings: AgentSettings, error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !WAITED_IN_VAIN.test(error.message)) return error;
  const holders = await readTableHolders(settings).catch(() => []);
  const [first] = holders;
  if (first === undefined) {
    return new Stop(
      EXIT.failed,
      `Somebody held a table of ${settings.database} for so long that it could not be read, and holds it no more.`,
      "Run the same command again.",
    );
  }
  return new Stop(
    EXIT.failed,
    `A table of ${settings.database} could not be read, because somebody holds it. ${holders.map(describeHolder).join(" ")}`,
    howToEnd(holders),
  );
}

async function readTableHolders(settings: AgentSettings): Promise<TableHolder[]> {
  const session = await connect(settings, settings.database, "budgie look");
  try {
    return await tableHolders(session);
  } finally {
    await session.end();
  }
}

/** In the session's own database. */
export async function tableHolders(session: pg.Client): Promise<TableHolder[]> {
  const { rows } = await session.query<TableHolder>(
    `SELECT l.pid, p.gid, coalesce(a.usename, p.owner)::text AS user, a.application_name AS application,
            host(a.client_addr) AS address, coalesce(a.xact_start, p.prepared) AS since, l.granted,
            array_agg(DISTINCT l.relation::regclass::text ORDER BY l.relation::regclass::text) AS tables,
            CASE WHEN l.granted THEN '{}' ELSE pg_blocking_pids(l.pid) END AS "waitsFor"
       FROM pg_locks l
       LEFT JOIN pg_stat_activity a ON a.pid = l.pid
       LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
                            AND x.virtualtransaction = l.virtualtransaction
       LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
      WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND EXISTS (SELECT FROM pg_class c WHERE c.oid = l.relation AND c.relkind IN ('r', 'p', 'm', 'f', 'v', 'S'))
      GROUP BY l.pid, p.gid, a.usename, p.owner, a.application_name, a.client_addr, a.xact_start, p.prepared, l.granted
      ORDER BY l.granted DESC, since`,
  );
  return rows;
}

export function describeHolder(holder: TableHolder): string {
  const { user, application, address, since, tables, granted, waitsFor } = holder;
  const which = [user, application, address && `from ${address}`].filter(Boolean).join(", ");
  const when = since === null ? "" : ` since ${shownSecond(since)}`;
  const what = tables.join(", ");
  const says = `${nameOf(holder)} (${which}) `;
  if (granted) return `${says}holds ${what}${when}.`;
  return `${says}waits to hold ${what}${when}, behind pid ${waitsFor.join(", ")}, and nobody gets past it.`;
}

function nameOf({ pid, gid }: TableHolder): string {
  return pid === null ? `The prepared transaction ${gid ?? "?"}` : `Pid ${pid}`;
}

/** Only whoever began it knows whether it may be ended. */
function howToEnd(holders: readonly TableHolder[]): string {
  const lines = holders.map(({ pid, gid, granted, waitsFor }) => {
    if (pid === null) {
      const literal = pg.escapeLiteral(gid ?? "").trim();
      return `in \`npx budgie psql\`, whichever is right: COMMIT PREPARED ${literal}; or ROLLBACK PREPARED ${literal};`;
    }
    const pids = granted ? [pid] : [...waitsFor, pid];
    return pids.map(each => `npx budgie psql -- -c "SELECT pg_terminate_backend(${each})"`).join("\n    ");
  });
  return [
    "Wait for its end, or end it; what it has not committed is undone then:",
    ...new Set(lines.flatMap(line => line.split("\n    "))),
    "Then run the same command again.",
  ].join("\n    ");
}
