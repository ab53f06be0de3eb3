import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { carryOverStatements } from "../restore/candidate.ts";
import { previousName } from "../restore/swap.ts";
import { candidateName, dropCandidate, schemaCandidateName } from "../server/candidate.ts";
import { databaseExists, inDatabase } from "../server/connection.ts";
import { createDatabase, type DatabaseTraits, readDatabaseTraits } from "../server/database-traits.ts";
import { heldIn } from "./emptiness.ts";
import type { Fit } from "./look-at-target.ts";
import type { Target } from "./target.ts";

const { escapeIdentifier, escapeLiteral } = pg;

/** PostgreSQL's code for "being accessed by other users". */
const OBJECT_IN_USE = "55006";
/** As its comment, on another server, where anything may have any name: what has this comment was made by a move that did not end. */
const MARK = "Half of a database that Budgie moves here; not for use";

/** The names that a move loads under. None of them is one that the API connects to. */
export function namesThere({ settings: { database } }: Target): string[] {
  return [candidateName(database), schemaCandidateName(database)];
}

/** DESTROYS what an earlier move has left half done there. Throws a Stop for a database of such a name that is somebody else's. */
export async function dropHalfDone(session: pg.Client, target: Target): Promise<void> {
  for (const name of namesThere(target)) {
    if (!(await databaseExists(session, name))) continue;
    await requireOurs(session, target, name);
    await dropCandidate(session, target.settings, name);
  }
}

/** One that was just made has no mark yet if a kill came in between; then it is empty. */
async function requireOurs(session: pg.Client, { shown, settings }: Target, name: string): Promise<void> {
  const { rows } = await session.query<{ mark: string | null }>(
    "SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = $1",
    [name],
  );
  if (rows[0]?.mark === MARK) return;
  const held = await inDatabase(settings, name, "budgie migrate", heldIn).catch(
    (error: Error) => `something that cannot be looked into (${error.message})`,
  );
  if (held === null) return;
  throw new Stop(
    EXIT.notConfirmed,
    `The server of ${shown} has a database ${name}, a name that is needed for the move, and it holds ${held}. Nothing was changed there.`,
    `If nobody needs it, rename it there: ALTER DATABASE ${name} RENAME TO ${name}_old; else name another database for the move.`,
  );
}

/** Makes an empty one, like the empty database that is there already, or like the one here. */
export async function createThere(
  session: pg.Client,
  target: Target,
  name: string,
  here: DatabaseTraits | null,
): Promise<void> {
  const there = await readDatabaseTraits(session, target.settings.database);
  const owner = there?.owner ?? target.settings.user;
  try {
    await session.query(createDatabase(name, there ?? here, owner));
  } catch (error) {
    throw new Stop(
      EXIT.failed,
      `No database could be made at ${target.shown}: ${(error as Error).message}. Nothing was changed.`,
      `Make an empty ${target.settings.database} there by hand, as it is to be, with its locale. Then run the same command again.`,
    );
  }
  await session.query(`COMMENT ON DATABASE ${escapeIdentifier(name)} IS ${escapeLiteral(MARK)}`);
}

/**
 * Gives the candidate what a dump of one database leaves out. Without the owners here, only the settings of the database itself go
 * over. One that the role there may not set is told.
 */
export async function carryThere(
  here: pg.Client,
  there: pg.Client,
  settings: AgentSettings,
  target: Target,
  { withOwners }: Fit,
  report: Reporter,
): Promise<void> {
  const candidate = candidateName(target.settings.database);
  const all = await carryOverStatements(here, settings.database, candidate);
  const wanted = all.filter(
    text => !text.startsWith("COMMENT ") && (withOwners || text.startsWith("ALTER DATABASE ")),
  );
  for (const statement of wanted)
    await there.query(statement).catch((error: Error) => {
      report.warn(`Not taken over: ${statement} (${error.message})`);
    });
}

/** PostgreSQL's number of a database; null where there is none. */
export async function oidOf(session: pg.Client, name: string): Promise<string | null> {
  const { rows } = await session.query<{ oid: string }>(
    "SELECT oid::text AS oid FROM pg_database WHERE datname = $1",
    [name],
  );
  return rows[0]?.oid ?? null;
}

/**
 * Gives the candidate its name, in one transaction that also takes the mark away and sets aside what is there. Before COMMIT there is
 * nothing under the name that passes for whole, after it the whole. Returns the name of what was set aside; null where nothing was.
 */
export async function giveName(
  session: pg.Client,
  { shown, settings: { database } }: Target,
  comment: string | null,
): Promise<string | null> {
  const candidate = escapeIdentifier(candidateName(database));
  const previous = (await databaseExists(session, database)) ? await freeName(session, database) : null;
  try {
    await session.query("BEGIN");
    await session.query(
      `COMMENT ON DATABASE ${candidate} IS ${comment === null ? "NULL" : escapeLiteral(comment)}`,
    );
    if (previous)
      await session.query(
        `ALTER DATABASE ${escapeIdentifier(database)} RENAME TO ${escapeIdentifier(previous)}`,
      );
    await session.query(`ALTER DATABASE ${candidate} RENAME TO ${escapeIdentifier(database)}`);
    await session.query("COMMIT");
    return previous;
  } catch (error) {
    await session.query("ROLLBACK").catch(() => undefined);
    if ((error as { code?: string }).code !== OBJECT_IN_USE) throw error;
    throw new Stop(
      EXIT.busy,
      `Somebody is connected to ${shown}, so what was loaded could not take that name, and is thrown away.`,
      `Stop what uses it: SELECT pid, usename, application_name FROM pg_stat_activity WHERE datname = '${database}'; there shows it. Then run the same command again.`,
    );
  }
}

async function freeName(session: pg.Client, database: string): Promise<string> {
  for (;;) {
    const name = previousName(database, new Date());
    if (!(await databaseExists(session, name))) return name;
    await delay(100);
  }
}
