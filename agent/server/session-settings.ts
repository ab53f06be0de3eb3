/**
 * The settings that every session of the agent needs, so that nothing ends the session, hides a row, writes the same value in
 * another way, or reads it as something else. A role, a database, or a role in a database may have other values.
 *
 * Given at the start of a session, each of these wins over what ALTER ROLE, ALTER DATABASE and ALTER ROLE … IN DATABASE have set.
 */
const EVERY_SESSION: Readonly<Record<string, string>> = {
  // Nothing ends it.
  idle_session_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  statement_timeout: "0",
  lock_timeout: "0",
  // It may write, and sees what is committed.
  default_transaction_read_only: "off",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  synchronous_commit: "on",
  // It keeps the role of its login, and names the schemas it means. Where a policy would hide rows, reading them is an error.
  role: "none",
  row_security: "off",
  search_path: "pg_catalog",
  // What it makes lies where the database's other things lie.
  default_tablespace: "",
  temp_tablespaces: "",
  default_table_access_method: "heap",
  // The same value is always written in the same way …
  client_encoding: "UTF8",
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  extra_float_digits: "3",
  bytea_output: "hex",
  xmlbinary: "base64",
  quote_all_identifiers: "off",
  // … and read as what it is.
  standard_conforming_strings: "on",
  backslash_quote: "safe_encoding",
  array_nulls: "on",
  transform_null_equals: "off",
  xmloption: "content",
  check_function_bodies: "off",
  // Rows come in the order in which they lie.
  synchronize_seqscans: "off",
};

/** The same, for settings that only a superuser's session may have. */
const SUPERUSER_SESSION: Readonly<Record<string, string>> = {
  session_replication_role: "origin",
  // A damaged page is an error, not an empty one.
  zero_damaged_pages: "off",
  ignore_checksum_failure: "off",
};

/** Whether the session's role may set what only superusers may. */
export type SessionRights = "superuser" | "ordinary";

/**
 * The options of a session, as libpq's `options`, PGOPTIONS and node-postgres take them. `also` comes last, and wins.
 */
export function sessionOptions(
  rights: SessionRights = "superuser",
  also: Readonly<Record<string, string>> = {},
): string {
  const settings = { ...EVERY_SESSION, ...(rights === "superuser" ? SUPERUSER_SESSION : {}), ...also };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, "\\$&")}`)
    .join(" ");
}

/** The names of all of them, for whoever tests that each is set. */
export const FIXED_SETTINGS: readonly string[] = Object.keys({ ...EVERY_SESSION, ...SUPERUSER_SESSION });
