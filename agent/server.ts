import pg from "pg";
import pgpass from "pgpass";
import { EXIT, Stop } from "./exit-codes.ts";
import type { AgentSettings } from "./settings.ts";

/** Everything that must not disturb, or be disturbed by, a database being renamed is done from this one. */
const MAINTENANCE_DATABASE = "postgres";
/** PostgreSQL's code for a password that is not the role's. A volume that was copied from elsewhere has that one's. */
const WRONG_PASSWORD = "28P01";

export interface ServerFacts {
  /** The cluster's identity, decimal. */
  systemIdentifier: string;
  /** `16.14` */
  serverVersion: string;
  databaseBytes: number;
  /** Tables of the operator's own, extensions' included: none means that the database is empty. */
  tables: number;
  /** Roles that own or are granted something in the database. */
  roles: string[];
  extensions: { name: string; version: string }[];
}

export function connectToMaintenance(settings: AgentSettings, applicationName: string): Promise<pg.Client> {
  return connect(settings, MAINTENANCE_DATABASE, applicationName);
}

/** Connects, or throws a Stop that says why not. The password comes from the file at PGPASSFILE. */
export async function connect(
  settings: AgentSettings,
  database: string,
  applicationName = "budgie-agent",
): Promise<pg.Client> {
  const client = new pg.Client({
    host: settings.host,
    port: settings.port,
    user: settings.user,
    database,
    password: () => passwordFromFile(settings, database),
    application_name: applicationName,
    connectionTimeoutMillis: 15_000,
    keepAlive: true,
    // A lock must not outlive by hours the machine that held it.
    options: "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
  });
  // Without a listener a connection that ends while idle would end the process; the next query reports it instead.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw new Stop(
      EXIT.databaseUnreachable,
      `The database ${database} at ${settings.host}:${settings.port} cannot be reached: ${reason(error)}.`,
      (error as { code?: string }).code === WRONG_PASSWORD
        ? "`pulumi up` sets the password again, and says so when the volume is another environment's."
        : "See `npx budgie status` and `npx budgie logs db`; `npx budgie start` starts a stopped database.",
    );
  }
  return client;
}

/** From the file at PGPASSFILE, as pg_dump and psql do; empty when no line fits, for the server to refuse. */
function passwordFromFile({ host, port, user }: AgentSettings, database: string): Promise<string> {
  return new Promise(resolve => pgpass({ host, port, user, database }, password => resolve(password ?? "")));
}

export async function databaseExists(client: pg.Client, database: string): Promise<boolean> {
  const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [database]);
  return rowCount === 1;
}

/** What there is to know about the stack's database. Throws a Stop when it cannot be reached. */
export async function readServerFacts(settings: AgentSettings): Promise<ServerFacts> {
  const client = await connect(settings, settings.database);
  try {
    return await queryFacts(client);
  } finally {
    await client.end();
  }
}

async function queryFacts(client: pg.Client): Promise<ServerFacts> {
  const { rows } = await client.query<{
    system_identifier: string;
    server_version: string;
    database_bytes: string;
    tables: number;
    roles: string[];
    extensions: { name: string; version: string }[];
  }>(`
    SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
           split_part(current_setting('server_version'), ' ', 1) AS server_version,
           pg_database_size(current_database())::text AS database_bytes,
           (SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') AS tables,
           (SELECT coalesce(json_agg(json_build_object('name', extname, 'version', extversion) ORDER BY extname), '[]')
              FROM pg_extension) AS extensions,
           -- pg_shdepend does not list the bootstrap superuser, so owners are read where they stand as well.
           (SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND oid IN (
              SELECT refobjid FROM pg_shdepend s, pg_database d
               WHERE d.datname = current_database() AND refclassid = 'pg_authid'::regclass
                 AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))
              UNION SELECT datdba FROM pg_database WHERE datname = current_database()
              UNION SELECT relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              UNION SELECT nspowner FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
              UNION SELECT proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')) AS roles`);
  const row = rows[0];
  if (!row) throw new Error("the server returned no facts about itself");
  return {
    systemIdentifier: row.system_identifier,
    serverVersion: row.server_version,
    databaseBytes: Number(row.database_bytes),
    tables: row.tables,
    roles: row.roles,
    extensions: row.extensions,
  };
}

/** The major version that decides whether a dump and a server fit: `16` of `16.14`. */
export function majorVersion(version: string): string {
  return version.split(/[.\s]/)[0] ?? version;
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
}
