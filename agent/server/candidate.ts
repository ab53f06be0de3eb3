import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { connect } from "./connection.ts";
import { dropLoader, LOADER } from "./loader-role.ts";
import { halfDroppedDatabases } from "./set-aside.ts";

const { escapeIdentifier } = pg;

/** The database into which a restore loads. The name is reserved: whatever has it is a restore's leftover. */
export function candidateName(database: string): string {
  return `${database}_candidate`;
}

/** Where a dump's schema is loaded once more by itself, to see what PostgreSQL makes of it. Reserved like the candidate's. */
export function schemaCandidateName(database: string): string {
  return `${candidateName(database)}_schema`;
}

/**
 * What a restore makes for its load and has not swapped in, in the order in which it can go: the loader owns what it fills. And what
 * a drop of a database that was set aside has left of it.
 */
export interface LeftAtServer {
  databases: string[];
  loader: boolean;
}

/** While a restore is at work, it is that restore's. */
export async function leftAtServer(session: pg.Client, { database }: AgentSettings): Promise<LeftAtServer> {
  const { rows } = await session.query<{ databases: string[]; loader: boolean }>(
    `SELECT ARRAY(SELECT datname::text FROM pg_database WHERE datname = ANY($1) ORDER BY datname DESC) AS databases,
            EXISTS (SELECT FROM pg_roles WHERE rolname = $2) AS loader`,
    [[schemaCandidateName(database), candidateName(database)], LOADER],
  );
  const { databases, loader } = rows[0] ?? { databases: [], loader: false };
  return { databases: [...databases, ...(await halfDroppedDatabases(session, database))], loader };
}

/** DESTROYS what a restore has made for its load and has not swapped in. Only under the lock. */
export async function dropLeftAtServer(session: pg.Client, settings: AgentSettings): Promise<void> {
  const { databases, loader } = await leftAtServer(session, settings);
  for (const name of databases) await dropCandidate(session, settings, name);
  if (loader) await dropLoader(session);
}

/** DESTROYS the candidate. Never the live database: the name differs by its suffix. */
export async function dropCandidate(
  session: pg.Client,
  settings: AgentSettings,
  candidate: string,
): Promise<void> {
  await dropSubscriptions(session, settings, candidate);
  await session.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(candidate)} WITH (FORCE)`);
}

/**
 * PostgreSQL drops no database with a subscription. A dump brings them along without a connection, so there is nothing to end at
 * the other side.
 */
async function dropSubscriptions(
  session: pg.Client,
  settings: AgentSettings,
  candidate: string,
): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT subname::text AS name FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = $1`,
    [candidate],
  );
  if (rows.length === 0) return;
  const inside = await connect(settings, candidate, "budgie restore");
  try {
    for (const name of rows.map(row => escapeIdentifier(row.name))) {
      await inside.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
      await inside.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
      await inside.query(`DROP SUBSCRIPTION ${name}`);
    }
  } finally {
    await inside.end();
  }
}
