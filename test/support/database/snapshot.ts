import type { TestPostgres } from "../servers/postgres.ts";
import { inServer, psql } from "./server-psql.ts";

/** What a restore must bring back. It is read without any part of the agent. */
export interface DatabaseSnapshot {
  /** What the tables hold, the sequences' positions, the large objects, and the database's own properties; a line each. */
  content: string[];
  /** As `pg_dump --schema-only` writes it. */
  schema: string[];
}

/** Compares tables by content: neither the order of rows nor the order of columns counts. */
const TABLES = String.raw`
  SELECT format('SELECT %L, count(*), md5(coalesce(string_agg(r, chr(10) ORDER BY r COLLATE "C"), ''''))
                   FROM (SELECT (ROW(%s))::text AS r FROM ONLY %I.%I) rows',
                c.relkind::text || ' ' || quote_ident(nspname) || '.' || quote_ident(relname),
                (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE "C")
                   FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
                nspname, relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE relkind IN ('r', 'm') AND relispopulated AND nspname <> 'information_schema' AND nspname !~ '^pg_'
   ORDER BY nspname COLLATE "C", relname COLLATE "C" \gexec`;

const SEQUENCES = String.raw`
  SELECT format('SELECT %L, last_value, is_called FROM %I.%I',
                'S ' || quote_ident(nspname) || '.' || quote_ident(relname), nspname, relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE relkind = 'S' ORDER BY nspname COLLATE "C", relname COLLATE "C" \gexec`;

const LARGE_OBJECTS = `
  SELECT 'large object', oid, pg_get_userbyid(lomowner), lomacl, length(lo_get(oid)), md5(lo_get(oid)),
         obj_description(oid, 'pg_largeobject')
    FROM pg_largeobject_metadata ORDER BY oid;`;

/** A dump of one database leaves these out. */
const PROPERTIES = `
  SELECT 'database', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datacl,
         shobj_description(oid, 'pg_database')
    FROM pg_database WHERE datname = current_database();
  SELECT 'setting', setrole::regrole, setting
    FROM pg_db_role_setting, unnest(setconfig) AS setting
   WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
   ORDER BY setrole, setting COLLATE "C";`;

const dump = (database: string, what = "") =>
  `PGCLIENTENCODING=$(encoding_of ${database}) pg_dump --restrict-key=same --lock-wait-timeout=10s ${what} --dbname=${database}`;

export async function snapshotDatabase(postgres: TestPostgres, database: string): Promise<DatabaseSnapshot> {
  const content = await psql(postgres, database, `${TABLES}${SEQUENCES}${LARGE_OBJECTS}${PROPERTIES}`);
  const schema = await inServer(postgres, dump(database, "--schema-only"));
  return { content: content.trimEnd().split("\n"), schema: schema.split("\n") };
}

/**
 * What PostgreSQL's own tools make of a database: its content after `pg_dump | pg_restore`, which rewrites some of the schema's
 * text, with the properties of the original. Throws when PostgreSQL cannot reload it.
 */
export async function reloadedByPostgres(
  postgres: TestPostgres,
  database: string,
  words: string,
): Promise<DatabaseSnapshot> {
  const reloaded = `${database}_reloaded`;
  await psql(postgres, "postgres", `CREATE DATABASE ${reloaded} TEMPLATE template0 ${words}`);
  try {
    await inServer(
      postgres,
      `PGCLIENTENCODING=$(encoding_of ${database}) pg_dump --format=custom --lock-wait-timeout=10s --dbname=${database} | pg_restore --exit-on-error --dbname=${reloaded}`,
    );
    const { content, schema } = await snapshotDatabase(postgres, reloaded);
    const properties = await psql(postgres, database, PROPERTIES);
    const own = content.filter(line => !/^(database|setting)\|/.test(line));
    return { content: [...own, ...properties.trimEnd().split("\n")], schema };
  } finally {
    await dropDatabase(postgres, reloaded);
  }
}

/** Drops the subscriptions first: PostgreSQL does not drop a database that has some. */
export async function dropDatabase(postgres: TestPostgres, database: string): Promise<void> {
  const there = `SELECT 1 FROM pg_database WHERE datname = '${database}'`;
  if ((await psql(postgres, "postgres", there)) === "") return;
  const subscriptions = String.raw`
    SELECT format(action, subname) FROM pg_subscription,
           unnest(ARRAY['ALTER SUBSCRIPTION %I DISABLE', 'ALTER SUBSCRIPTION %I SET (slot_name = NONE)', 'DROP SUBSCRIPTION %I'])
             WITH ORDINALITY AS steps (action, step)
     WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname, step \gexec`;
  await psql(postgres, database, subscriptions);
  await psql(postgres, "postgres", `DROP DATABASE ${database} WITH (FORCE)`);
}
