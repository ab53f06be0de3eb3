import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FIXED_SETTINGS } from "../../../agent/server/session-settings.ts";
import { startAgent, type TestAgent } from "../../support/agent/agent.ts";
import { query as queryIn } from "../../support/database/query.ts";
import { makeTablespace } from "../../support/database/rich.ts";
import { backUpDrillRestore } from "../../support/database/round-trip.ts";
import { startPostgres, type TestPostgres } from "../../support/servers/postgres.ts";

/** A bad value for each setting. One without a bad value says why. */
const BADLY: Record<string, string | null> = {
  idle_session_timeout: "'50ms'",
  idle_in_transaction_session_timeout: "'50ms'",
  statement_timeout: "'5ms'",
  lock_timeout: "'1ms'",
  default_transaction_read_only: "on",
  default_transaction_isolation: "serializable",
  default_transaction_deferrable: "on",
  synchronous_commit: "off",
  role: "bystander",
  row_security: "on",
  search_path: "nowhere",
  default_tablespace: "fast",
  temp_tablespaces: "fast",
  // There is no other value without an extension.
  default_table_access_method: null,
  client_encoding: "'LATIN1'",
  TimeZone: "'Asia/Kolkata'",
  DateStyle: "'SQL, DMY'",
  IntervalStyle: "sql_standard",
  extra_float_digits: "-15",
  bytea_output: "escape",
  xmlbinary: "hex",
  quote_all_identifiers: "on",
  standard_conforming_strings: "off",
  backslash_quote: "off",
  array_nulls: "off",
  transform_null_equals: "on",
  xmloption: "document",
  check_function_bodies: "on",
  synchronize_seqscans: "on",
  session_replication_role: "replica",
  zero_damaged_pages: "on",
  ignore_checksum_failure: "on",
};

const CONTENT = `
  CREATE TABLE values_of_all_kinds (id int PRIMARY KEY, t text, at timestamptz, day date, took interval, f float8, b bytea, names text[], x xml,
    CHECK (t IS DISTINCT FROM NULL OR id > 0));
  INSERT INTO values_of_all_kinds
    SELECT n, E'€ äöü \\\\ ''' || n, '2026-03-01 12:00+00'::timestamptz + n * interval '7 hours', '2026-02-03'::date + n,
           -n * interval '1 day 2 hours', n / 3.0, decode(md5(n::text), 'hex'), ARRAY['null', NULL, 'NULL'], '<a/>'::xml
      FROM generate_series(1, 300) n;
  CREATE FUNCTION later(i int) RETURNS int LANGUAGE sql AS 'SELECT i';
  CREATE TABLE child (parent int REFERENCES values_of_all_kinds);
  INSERT INTO child SELECT n FROM generate_series(1, 300) n;`;
const ROWS =
  "SELECT md5(string_agg(v::text, ',' ORDER BY id)) AS rows, (SELECT count(*)::int FROM child) AS children FROM public.values_of_all_kinds v";

describe("a role and a database with every setting that can stand in the way", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  /** As the test's own superuser, whom no setting affects. */
  const query = async (text: string, database = "budgie_dev") => {
    const client = new pg.Client({
      connectionString: postgres.url(database),
      user: "tester",
      password: "x",
      options:
        "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c role=none -c session_replication_role=origin -c search_path=public -c client_encoding=UTF8 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_tablespace= -c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c standard_conforming_strings=on -c xmloption=content",
    });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    postgres = await startPostgres();
    await makeTablespace(postgres);
    const roles = "CREATE ROLE tester SUPERUSER LOGIN PASSWORD 'x'; CREATE ROLE bystander";
    await queryIn(postgres, "postgres", roles);
    await queryIn(postgres, "postgres", "CREATE DATABASE budgie_dev OWNER budgie_user");
    await query(CONTENT);
    await query("REASSIGN OWNED BY tester TO budgie_user");
    agent = await startAgent(postgres, { database: "budgie_dev" });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("has a bad value for each setting that the agent fixes", () => {
    expect(Object.keys(BADLY).sort()).toEqual([...FIXED_SETTINGS].sort());
  });

  it.each(["sql", "dump"])("is backed up, drilled and restored as %s all the same", async format => {
    const before = await query(ROWS);
    for (const [name, value] of Object.entries(BADLY)) {
      if (value === null) continue;
      for (const whose of [
        "ROLE budgie_user",
        "DATABASE budgie_dev",
        "ROLE budgie_user IN DATABASE budgie_dev",
        "ROLE budgie_user IN DATABASE postgres",
      ])
        await query(`ALTER ${whose} SET ${name} TO ${value}`, "postgres");
    }
    await backUpDrillRestore(agent, format);
    expect(await query(ROWS)).toEqual(before);
  });
});
