import pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import type { Reporter } from "../base/reporter.ts";
import { operate } from "../operation/operate.ts";
import { readCollationVersions } from "../server/collation-version.ts";
import { connect } from "../server/connection.ts";

const { escapeIdentifier } = pg;

const UNIQUE_VIOLATION = "23505";
/** The catalogs' own texts are compared byte by byte, whatever the system's collation. */
const TABLES = `
  SELECT format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
   WHERE relkind IN ('r', 'm') AND relhasindex AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
   ORDER BY 1`;
/** Collations that the database has of its own, or that its image brought, and that another version of the system sorted. */
const COLLATIONS = `
  SELECT format('%I.%I', nspname, collname) AS name FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
   WHERE collversion IS NOT NULL AND pg_collation_actual_version(c.oid) IS NOT NULL
     AND collversion <> pg_collation_actual_version(c.oid)`;

/**
 * Builds every index of the database anew, and only then records the collation's version of now. Each table is locked against
 * writing while its own indexes are built. Returns how many tables that were. Throws a Stop when rows stand in the way: then the
 * version stays what it was, so that the status goes on to warn.
 */
export function reindex(settings: AgentSettings, report: Reporter): Promise<number> {
  return operate(settings, { kind: "reindex", name: "reindex" }, report, async ({ lost }) => {
    const session = await connect(settings, settings.database, "budgie reindex");
    const progress = report.progress("building indexes", null);
    try {
      const { rows } = await session.query<{ name: string }>(TABLES);
      for (const { name } of rows) {
        lost.throwIfAborted();
        await session.query(`REINDEX TABLE ${name}`).catch(error => {
          throw explain(error, name);
        });
      }
      await recordVersions(session, settings.database);
      return rows.length;
    } finally {
      progress.end();
      await session.end();
    }
  });
}

async function recordVersions(session: pg.Client, database: string): Promise<void> {
  const { rows: collations } = await session.query<{ name: string }>(COLLATIONS);
  for (const { name } of collations) await session.query(`ALTER COLLATION ${name} REFRESH VERSION`);
  const found = await readCollationVersions(session, database);
  if (!found || found.made === found.now) return;
  // A system without versions, such as Alpine's, is one that REFRESH does not know how to record.
  if (found.made === null || found.now === null)
    await session.query("UPDATE pg_database SET datcollversion = $2 WHERE datname = $1", [
      database,
      found.now,
    ]);
  else await session.query(`ALTER DATABASE ${escapeIdentifier(database)} REFRESH COLLATION VERSION`);
}

/** The rows themselves are not told: they are the household's. */
function explain(error: unknown, table: string): unknown {
  const { code, constraint } = error as { code?: string; constraint?: string };
  if (code !== UNIQUE_VIOLATION) return error;
  return new Stop(
    EXIT.failed,
    `The index ${constraint ?? "of a key"} of ${table} cannot be built: two rows have the same key, which the old index did not notice. No row was changed.`,
    "`npx budgie backup && npx budgie drill` names the rows and the lines that repair them; then run `npx budgie reindex` again.",
  );
}
