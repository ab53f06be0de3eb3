import { availableParallelism } from "node:os";
import pg from "pg";
import { describeEnd } from "./child-process.ts";
import { readDatabaseTraits } from "./database-traits.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { loadDump } from "./load-dump.ts";
import type { Progress } from "./reporter.ts";
import { databaseExists } from "./server.ts";
import type { AgentSettings } from "./settings.ts";

const { escapeIdentifier } = pg;

/** The database a restore loads into. The name is reserved: whatever is under it is a restore's leftover. */
export function candidateName(database: string): string {
  return `${database}_candidate`;
}

/**
 * Makes an empty candidate with the owner, encoding, locale, collation provider, tablespace and connection limit of the
 * live database, or with the server's defaults where there is no live one.
 * DESTROYS the candidate that an earlier, killed restore left behind.
 */
export async function createCandidate(session: pg.Client, settings: AgentSettings): Promise<string> {
  const candidate = candidateName(settings.database);
  await dropCandidate(session, candidate);
  const traits = await readDatabaseTraits(session, settings.database);
  await session.query(
    `CREATE DATABASE ${escapeIdentifier(candidate)} TEMPLATE template0 ${traits?.words ?? ""}`,
  );
  return candidate;
}

/** DESTROYS the candidate. Never the live database: the name differs by its suffix. */
export async function dropCandidate(session: pg.Client, candidate: string): Promise<void> {
  await session.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(candidate)} WITH (FORCE)`);
}

/** More than that compete for the same disk. */
const MOST_CONNECTIONS = 4;

/** Loads the dump, and stops at the first error; returns the sha256 of what was loaded. Throws a Stop when it fails. */
export async function loadCandidate(
  candidate: string,
  path: string,
  shown: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<string> {
  const jobs = Math.min(MOST_CONNECTIONS, availableParallelism());
  const { program, fed, end } = await loadDump(path, shown, { database: candidate, jobs, signal }, progress);
  if (end.code !== 0) {
    throw new Stop(
      EXIT.failed,
      `${shown} could not be loaded; ${program} ended with ${describeEnd(end)}. The database is as it was.`,
      "If the server's disk is full, free some space and run the same command again; else use another backup.",
    );
  }
  if (fed instanceof Error) throw fed;
  return fed;
}

/** Gives the candidate what a dump of one database leaves out: grants, settings and comment of the database itself. */
export async function carryOver(
  session: pg.Client,
  settings: AgentSettings,
  candidate: string,
): Promise<void> {
  if (!(await databaseExists(session, settings.database))) return;
  const { rows } = await session.query<{ statement: string }>(CARRY_OVER, [settings.database, candidate]);
  for (const { statement } of rows) await session.query(statement);
}

/**
 * The statements that make $2's database-level properties those of $1. Privileges: all are taken away, then those of
 * the live one given, because no ACL at all means "the defaults". Settings that hold lists are stored already quoted.
 */
const CARRY_OVER = `
  WITH live AS (SELECT * FROM pg_database WHERE datname = $1)
  SELECT statement FROM (
    SELECT 1 AS step, format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', $2::text, pg_get_userbyid(datdba)) AS statement
      FROM live WHERE datacl IS NOT NULL
    UNION ALL
    SELECT 2, format('GRANT %s ON DATABASE %I TO %s%s', privilege_type, $2::text,
                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                     CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
      FROM live, aclexplode(datacl)
    UNION ALL
    SELECT 3, format('ALTER %s %I SET %I TO %s',
                     CASE setrole WHEN 0 THEN 'DATABASE' ELSE format('ROLE %I IN DATABASE', pg_get_userbyid(setrole)) END,
                     $2::text, split_part(setting, '=', 1),
                     CASE WHEN split_part(setting, '=', 1) IN ('search_path', 'temp_tablespaces', 'session_preload_libraries',
                                                              'local_preload_libraries')
                          THEN CASE substr(setting, strpos(setting, '=') + 1)
                               WHEN '' THEN '''''' WHEN '""' THEN ''''''
                               ELSE substr(setting, strpos(setting, '=') + 1) END
                          ELSE quote_literal(substr(setting, strpos(setting, '=') + 1)) END)
      FROM live, pg_db_role_setting s, unnest(s.setconfig) AS setting WHERE s.setdatabase = live.oid
    UNION ALL
    SELECT 4, format('COMMENT ON DATABASE %I IS %L', $2::text, shobj_description(oid, 'pg_database'))
      FROM live WHERE shobj_description(oid, 'pg_database') IS NOT NULL
  ) statements ORDER BY step`;
