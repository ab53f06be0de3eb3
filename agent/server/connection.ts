import type { EventEmitter } from "node:events";
import pg from "pg";
import pgpass from "pgpass";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { OWN_PLACE } from "../../shared/own-connection.ts";
import { lostSecretFile } from "../base/secret-files.ts";
import { clientTls, type Reached, unreachableElsewhere } from "./elsewhere.ts";
import { managedTls, rightsOf } from "./managed.ts";
import { isTooMany, noteCrowd, withValuesInText } from "./own-place.ts";
import { sessionOptions } from "./session-settings.ts";
import { unreachableDatabase } from "./why-unreachable.ts";

/** Where the agent does whatever must neither disturb a rename of a database nor be disturbed by it. */
const MAINTENANCE_DATABASE = "postgres";

/** A lock must not outlive the machine that held it by hours. */
const KEEPALIVES = {
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
};

/** The encoding of a session's text, and of a dump. A database without an encoding has nothing to convert from. */
export type SessionEncoding = "UTF8" | "SQL_ASCII";

export function encodingOfSessions(serverEncoding: string): SessionEncoding {
  return serverEncoding === "SQL_ASCII" ? "SQL_ASCII" : "UTF8";
}

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
  /** How a dump of the database writes money. */
  lcMonetary: string;
  encoding: SessionEncoding;
}

export function connectToMaintenance(settings: AgentSettings, applicationName: string): Promise<pg.Client> {
  return connect(settings, MAINTENANCE_DATABASE, applicationName);
}

/**
 * Connects, or throws a Stop that says why not. The password comes from the file at PGPASSFILE. Where the clients have taken every
 * place, the session gets one that is not theirs. Another server than the stack's own has its own password, and no such place.
 */
export async function connect(
  settings: Reached,
  database: string,
  applicationName = "budgie-agent",
): Promise<pg.Client> {
  if (settings.elsewhere)
    return open(settings, database, applicationName).catch(error => {
      throw unreachableElsewhere(settings, database, error);
    });
  try {
    const client = await open(settings, database, applicationName);
    noteCrowd(false);
    return client;
  } catch (error) {
    const own = isTooMany(error) ? await openInOwnPlace(settings, database, applicationName) : null;
    if (own) return own;
    const lost = process.env.PGPASSFILE === undefined ? null : lostSecretFile(process.env.PGPASSFILE);
    throw lost ?? unreachableDatabase(settings, database, error);
  }
}

/** Null where the server has no such place left, or gives none. */
async function openInOwnPlace(
  settings: AgentSettings,
  database: string,
  applicationName: string,
): Promise<pg.Client | null> {
  try {
    const client = await open(settings, database, applicationName, OWN_PLACE);
    noteCrowd(true);
    return withValuesInText(client);
  } catch {
    return null;
  }
}

async function open(
  settings: Reached,
  database: string,
  applicationName: string,
  place: object = {},
): Promise<pg.Client> {
  const client = new pg.Client({
    host: settings.host,
    port: settings.port,
    user: settings.user,
    database,
    password: settings.elsewhere?.password ?? (() => passwordFromFile(settings, database)),
    ...(settings.elsewhere ? { ssl: clientTls(settings.elsewhere) } : await managedTls(settings)),
    application_name: applicationName,
    connectionTimeoutMillis: 15_000,
    keepAlive: true,
    options: sessionOptions(rightsOf(settings), KEEPALIVES),
    ...place,
  });
  let encoding = "";
  const { connection } = client as unknown as { connection: EventEmitter };
  connection.on("parameterStatus", ({ parameterName, parameterValue }: Record<string, string>) => {
    if (parameterName === "server_encoding") encoding = parameterValue ?? "";
  });
  // Without a listener a connection that ends while idle would end the process; the next query reports it instead.
  client.on("error", () => undefined);
  try {
    await client.connect();
    // Its names and values may not be UTF-8. To ask for them as UTF-8 would then be an error.
    if (encodingOfSessions(encoding) !== "UTF8") await client.query("SET client_encoding = 'SQL_ASCII'");
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/** From the file at PGPASSFILE, as pg_dump and psql do; empty when no line fits, for the server to refuse. */
function passwordFromFile({ host, port, user }: AgentSettings, database: string): Promise<string> {
  return new Promise(resolve => pgpass({ host, port, user, database }, password => resolve(password ?? "")));
}

/** Runs `work` with a session in a database, and ends that. Throws as `connect` and `work` do. */
export async function inDatabase<T>(
  settings: AgentSettings,
  database: string,
  applicationName: string,
  work: (session: pg.Client) => Promise<T>,
): Promise<T> {
  const session = await connect(settings, database, applicationName);
  try {
    return await work(session);
  } finally {
    await session.end();
  }
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
    lc_monetary: string;
    server_encoding: string;
  }>(`
    SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
           split_part(current_setting('server_version'), ' ', 1) AS server_version,
           current_setting('lc_monetary') AS lc_monetary,
           current_setting('server_encoding') AS server_encoding,
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
    lcMonetary: row.lc_monetary,
    encoding: encodingOfSessions(row.server_encoding),
  };
}

/** The major version that decides whether a dump and a server fit: `16` of `16.14`. */
export function majorVersion(version: string): string {
  return version.split(/[.\s]/)[0] ?? version;
}
