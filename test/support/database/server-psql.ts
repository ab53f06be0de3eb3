import { collectFromContainer } from "../../../engine/run-in-container.ts";
import type { TestPostgres } from "../servers/postgres.ts";

/**
 * Settings of a role, a database or both together that can get in a session's way. A value given at the session's start wins
 * over all of them. The list is kept apart from the agent's own, so that one checks the other.
 */
const PLAIN_SESSION = {
  TimeZone: "UTC",
  DateStyle: "ISO,YMD",
  IntervalStyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "3",
  lc_monetary: "C",
  lc_messages: "C",
  standard_conforming_strings: "on",
  backslash_quote: "safe_encoding",
  quote_all_identifiers: "off",
  array_nulls: "on",
  transform_null_equals: "off",
  xmloption: "content",
  search_path: "public",
  role: "none",
  row_security: "off",
  session_replication_role: "origin",
  check_function_bodies: "on",
  default_tablespace: "",
  temp_tablespaces: "",
  default_table_access_method: "heap",
  default_toast_compression: "pglz",
  default_transaction_read_only: "off",
  default_transaction_isolation: "read\\ committed",
  default_transaction_deferrable: "off",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_session_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  client_min_messages: "error",
} as const;

/** The environment of the server's own psql and pg_dump, so that no database's settings change what they do. */
export const PLAIN_ENVIRONMENT = [
  `PGOPTIONS=${Object.entries(PLAIN_SESSION)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ")}`,
];

/** `encoding_of DATABASE`: what a client must speak. A database without an encoding keeps bytes that UTF8 does not have. */
const ENCODING_OF = String.raw`
  encoding_of() {
    psql --no-psqlrc --no-align --tuples-only --dbname="$1" \
      --command="SELECT CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END"
  }
`;

/** Runs a shell script in the server's container, with `PGUSER` and plain sessions. Throws when it fails. */
export async function inServer(postgres: TestPostgres, script: string, stdin?: Buffer): Promise<string> {
  const command = [
    "env",
    ...PLAIN_ENVIRONMENT,
    `PGUSER=${postgres.user}`,
    "bash",
    "-euo",
    "pipefail",
    "-c",
    ENCODING_OF + script,
  ];
  const { code, stdout, stderr } = await collectFromContainer(postgres.container, command, stdin);
  if (code !== 0) throw new Error(`in the server's container: ${stderr || `exit code ${code}`}`);
  return stdout;
}

/**
 * Runs a script with the server's own psql and returns what it prints, one value per line. Its bytes pass unchanged, whatever
 * the database's encoding is. Each statement is a transaction. Throws at the first error.
 */
export function psql(postgres: TestPostgres, database: string, script: string): Promise<string> {
  const command = `PGCLIENTENCODING=$(encoding_of ${database}) psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --dbname=${database} --file=-`;
  return inServer(postgres, command, Buffer.from(script));
}
