import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { dropCandidate } from "../server/candidate.ts";
import { databaseExists } from "../server/connection.ts";
import { createDatabase, readDatabaseTraits } from "../server/database-traits.ts";

/**
 * Makes an empty candidate with the encoding, locale, collation provider, tablespace and connection limit of the
 * live database, or with the server's defaults where there is none. It belongs to `owner`, or else to the live one's owner.
 * DESTROYS the candidate that an earlier, killed restore left behind.
 */
export async function createCandidate(
  session: pg.Client,
  settings: AgentSettings,
  candidate: string,
  owner?: string,
): Promise<void> {
  await dropCandidate(session, settings, candidate);
  await session.query(createDatabase(candidate, await readDatabaseTraits(session, settings.database), owner));
}

/** Gives the candidate what a dump of one database leaves out: grants, settings and comment of the database itself. */
export async function carryOver(
  session: pg.Client,
  settings: AgentSettings,
  candidate: string,
): Promise<void> {
  if (!(await databaseExists(session, settings.database))) return;
  for (const statement of await carryOverStatements(session, settings.database, candidate))
    await session.query(statement);
}

/** What gives `candidate` what `database` has beside its content. */
export async function carryOverStatements(
  session: pg.Client,
  database: string,
  candidate: string,
): Promise<string[]> {
  const { rows } = await session.query<{ statement: string }>(CARRY_OVER, [database, candidate]);
  return rows.map(({ statement }) => statement);
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
