import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import { operate } from "../operation/operate.ts";
import { connectToMaintenance } from "../server/connection.ts";
import { type SetAside, setAsideDatabases } from "../server/set-aside.ts";

const { escapeIdentifier } = pg;

const DAY_MS = 24 * 3_600_000;
/** PostgreSQL's code for "being accessed by other users". */
const OBJECT_IN_USE = "55006";

/** Which of them are to go: those that are named, or those that were set aside longer ago than some days. */
export type Which = { names: readonly string[] } | { olderThanDays: number };

/** Lists what restores set aside, newest first. Changes nothing. */
export async function listPrevious(settings: AgentSettings): Promise<SetAside[]> {
  const session = await connectToMaintenance(settings, "budgie drop-previous");
  try {
    return await setAsideDatabases(session, settings.database);
  } finally {
    await session.end();
  }
}

/** What `which` names, if all of it can go. Changes nothing. Throws a Stop for what is none of them, and for what is in use. */
export async function previousToDrop(settings: AgentSettings, which: Which): Promise<SetAside[]> {
  const session = await connectToMaintenance(settings, "budgie drop-previous");
  try {
    return await choose(session, settings, which);
  } finally {
    await session.end();
  }
}

/**
 * DESTROYS the databases that `which` names, each of which a restore has set aside. Never the live one: it has not such a name.
 * Under the lock all of them are looked at once more before the first goes. A kill leaves each whole or gone; what PostgreSQL itself
 * has dropped by half, the next operation clears away.
 */
export function dropPrevious(settings: AgentSettings, which: Which, report: Reporter): Promise<SetAside[]> {
  return operate(settings, { kind: "drop", name: "drop-previous" }, report, async ({ session, lost }) => {
    const chosen = await choose(session, settings, which);
    for (const { name, bytes } of chosen) {
      lost.throwIfAborted();
      report.info(`Deleting ${name} (${humanSize(bytes)})`);
      // Without FORCE: PostgreSQL itself refuses what came into use a moment ago.
      await session.query(`DROP DATABASE ${escapeIdentifier(name)}`).catch(error => {
        throw (error as { code?: string }).code === OBJECT_IN_USE
          ? inUse(name, [(error as Error).message])
          : error;
      });
    }
    return chosen;
  });
}

async function choose(session: pg.Client, settings: AgentSettings, which: Which): Promise<SetAside[]> {
  const all = await setAsideDatabases(session, settings.database);
  const chosen = "names" in which ? named(all, which.names, settings) : olderThan(all, which.olderThanDays);
  for (const { name } of chosen) {
    const holders = await holdersOf(session, name);
    if (holders.length > 0) throw inUse(name, holders);
  }
  return chosen;
}

function named(all: readonly SetAside[], names: readonly string[], { database }: AgentSettings): SetAside[] {
  return [...new Set(names)].map(wanted => {
    const found = all.find(({ name }) => name === wanted);
    if (found) return found;
    const what =
      wanted === database
        ? `${wanted} is the live database`
        : `No restore has set a database ${JSON.stringify(wanted)} aside`;
    throw new Stop(
      EXIT.usage,
      `${what}; nothing was deleted.`,
      "`npx budgie drop-previous` lists those that can go.",
    );
  });
}

function olderThan(all: readonly SetAside[], days: number): SetAside[] {
  const before = Date.now() - days * DAY_MS;
  return all.filter(({ at }) => at !== null && at.getTime() < before);
}

/** Who or what keeps PostgreSQL from dropping a database, or would be lost with it. */
async function holdersOf(session: pg.Client, database: string): Promise<string[]> {
  const { rows } = await session.query<{ holder: string }>(
    `SELECT format('the logical replication slot %s', slot_name) AS holder FROM pg_replication_slots
      WHERE slot_type = 'logical' AND database = $1
     UNION ALL SELECT format('the subscription %s', subname) FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = $1
     UNION ALL SELECT format('the prepared transaction %s', gid) FROM pg_prepared_xacts WHERE database = $1
     UNION ALL SELECT format('a session of %s (pid %s%s)', usename, pid,
                             CASE application_name WHEN '' THEN '' ELSE ', ' || application_name END)
       FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'`,
    [database],
  );
  return rows.map(({ holder }) => holder);
}

function inUse(name: string, holders: readonly string[]): Stop {
  return new Stop(
    EXIT.busy,
    `${name} is in use, so it was not deleted: ${holders.join(", ")}.`,
    `End that first: leave the session, or in \`npx budgie psql -- -d ${name}\` end the transaction, or drop the slot or the subscription if nobody needs it any more. Then run the same command again.`,
  );
}
