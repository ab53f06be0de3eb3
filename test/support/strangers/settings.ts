import type { StrangerDatabase } from "./database.ts";

const LATIN1 = "ENCODING 'LATIN1' LOCALE 'C'";
const EUC_JP = "ENCODING 'EUC_JP' LOCALE 'C'";
const SQL_ASCII = "ENCODING 'SQL_ASCII' LOCALE 'C'";

const RESET_ROLE = "ALTER ROLE budgie_user RESET ALL";

/** Encodings, and settings of a role, a database or both that get in every session's way. */
export const SETTINGS: readonly StrangerDatabase[] = [
  {
    name: "a database whose sessions speak LATIN1, with what LATIN1 cannot say",
    sql: String.raw`
      ALTER DATABASE budgie_dev SET client_encoding = 'LATIN1';
      CREATE TABLE t6 (s text);
      INSERT INTO t6 VALUES (U&'caf\00e9'), (U&'\20ac');`,
  },
  {
    name: "a role whose sessions speak LATIN1 in this database, with names that it cannot say",
    sql: String.raw`
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET client_encoding = 'SJIS';
      CREATE TABLE U&"\20ac\0444" (U&"\4e2d" text);
      INSERT INTO U&"\20ac\0444" VALUES (U&'\+01f600'), (U&'\00e9');
      COMMENT ON TABLE U&"\20ac\0444" IS U&'\+01f600';`,
  },
  {
    name: "dates, times and intervals written in other ways",
    sql: `
      ALTER DATABASE budgie_dev SET DateStyle = 'SQL, DMY';
      ALTER DATABASE budgie_dev SET IntervalStyle = 'iso_8601';
      ALTER DATABASE budgie_dev SET TimeZone = 'Asia/Kathmandu';
      CREATE TABLE dated (d date DEFAULT '2026-02-03', t timestamptz CHECK (t > '2026-01-02 03:04:05+00'), i interval DEFAULT '1 year 2 mons -3 days 04:05:06.7');
      CREATE INDEX ON dated (d) WHERE t < '2030-04-05 06:07:08+00';
      CREATE VIEW dated_view AS SELECT '2026-02-03'::date AS d, '2026-02-03 04:05:06+07'::timestamptz AS t, '1-2'::interval AS i FROM dated;
      CREATE TABLE dated_parts (t timestamptz) PARTITION BY RANGE (t);
      CREATE TABLE dated_part PARTITION OF dated_parts FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2027-02-03 00:00+05:45');
      INSERT INTO dated VALUES ('2026-12-11', '2026-06-07 08:09:10.123456+00', '-1 day +02:03:04'), (DEFAULT, 'infinity', DEFAULT);
      INSERT INTO dated_parts VALUES ('2026-03-04 05:06:07+00');`,
  },
  {
    name: "a role that writes dates in other ways in every database",
    sql: `
      ALTER ROLE budgie_user SET DateStyle = 'German';
      ALTER ROLE budgie_user SET IntervalStyle = 'sql_standard';
      ALTER ROLE budgie_user SET TimeZone = 'America/St_Johns';
      CREATE TABLE german (d date, i interval, r tstzrange);
      INSERT INTO german VALUES ('2026-02-03', '1 year -2 days 3 hours', '[2026-01-02 00:00+00,2026-02-03 00:00+00)');`,
    undo: RESET_ROLE,
  },
  {
    name: "bytes, numbers and money written in other ways",
    sql: `
      ALTER DATABASE budgie_dev SET bytea_output = 'escape';
      ALTER DATABASE budgie_dev SET extra_float_digits = -15;
      ALTER DATABASE budgie_dev SET lc_monetary = 'en_US.utf8';
      ALTER DATABASE budgie_dev SET lc_numeric = 'C';
      CREATE TABLE written (b bytea DEFAULT '\\x00ff5c', f float8 DEFAULT 0.1, r real, m money, n numeric);
      CREATE VIEW written_view AS SELECT '\\x5c00'::bytea AS b, 0.30000000000000004::float8 AS f FROM written;
      INSERT INTO written SELECT decode('00275c0aff', 'hex'), 1.0 / n, 1.0 / n, 1234.5::numeric::money, 1.0 / n FROM generate_series(3, 20) n;`,
  },
  {
    name: "arrays, nulls and quotes read in other ways",
    sql: `
      ALTER DATABASE budgie_dev SET array_nulls = off;
      ALTER DATABASE budgie_dev SET transform_null_equals = on;
      ALTER DATABASE budgie_dev SET quote_all_identifiers = on;
      ALTER DATABASE budgie_dev SET standard_conforming_strings = off;
      ALTER DATABASE budgie_dev SET backslash_quote = off;
      ALTER DATABASE budgie_dev SET xmloption = 'document';
      CREATE TABLE read_otherwise (a text[], n int, x xml, s text DEFAULT 'back\\slash', CHECK (n = NULL OR n > 0));
      CREATE VIEW read_view AS SELECT a, n = NULL AS never, 'quote''back\\'::text AS s FROM read_otherwise;
      INSERT INTO read_otherwise VALUES ('{NULL,"NULL",x}', 1, 'no <b>document</b>', '\\''');`,
  },
  {
    name: "nothing may be written, and nothing may last",
    sql: `
      ALTER DATABASE budgie_dev SET default_transaction_read_only = on;
      ALTER DATABASE budgie_dev SET statement_timeout = '20ms';
      ALTER DATABASE budgie_dev SET lock_timeout = '1ms';
      ALTER DATABASE budgie_dev SET idle_in_transaction_session_timeout = '20ms';
      ALTER DATABASE budgie_dev SET idle_session_timeout = '20ms';
      CREATE TABLE hurried AS SELECT n, md5(n::text) FROM generate_series(1, 2000) n;
      CREATE INDEX ON hurried (md5);`,
  },
  {
    name: "a role that may write nothing and has no time",
    sql: `
      ALTER ROLE budgie_user SET default_transaction_read_only = on;
      ALTER ROLE budgie_user SET statement_timeout = '20ms';
      ALTER ROLE budgie_user SET lock_timeout = '1ms';
      ALTER ROLE budgie_user SET idle_session_timeout = '20ms';
      ALTER ROLE budgie_user SET idle_in_transaction_session_timeout = '20ms';
      CREATE TABLE hurried_role AS SELECT n, md5(n::text) FROM generate_series(1, 2000) n;`,
    undo: RESET_ROLE,
  },
  {
    name: "a role that may write nothing in this database",
    sql: `
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET default_transaction_read_only = on;
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET default_transaction_isolation = 'serializable';
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET default_transaction_deferrable = on;
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET idle_session_timeout = '20ms';
      CREATE TABLE read_only_here AS SELECT generate_series(1, 20) AS n;`,
  },
  {
    name: "a schema in front whose functions have the catalogue's names",
    sql: `
      CREATE SCHEMA shadow;
      CREATE FUNCTION shadow.lower(varchar) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'shadow' $$;
      CREATE FUNCTION shadow.count() RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
      CREATE FUNCTION shadow.format(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'SELECT 1/0' $$;
      CREATE TABLE shadow.pg_database (datname name);
      CREATE TABLE shadow.pg_class (oid oid, relname name);
      CREATE TABLE shadow.shaded (s varchar(9) CHECK (lower(s) <> 'shadow'));
      INSERT INTO shadow.shaded VALUES ('a');
      ALTER DATABASE budgie_dev SET search_path = shadow, pg_catalog, public;
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET search_path = shadow, "$user", pg_catalog;`,
  },
  {
    name: "triggers and checks off, and row security on, in every session",
    sql: `
      ALTER DATABASE budgie_dev SET session_replication_role = 'replica';
      ALTER DATABASE budgie_dev SET row_security = off;
      ALTER DATABASE budgie_dev SET check_function_bodies = off;
      ALTER DATABASE budgie_dev SET lo_compat_privileges = on;
      ALTER DATABASE budgie_dev SET default_tablespace = 'pg_default';
      ALTER DATABASE budgie_dev SET temp_tablespaces = 'pg_default';
      ALTER DATABASE budgie_dev SET default_toast_compression = 'pglz';
      CREATE TABLE replica_a (id int PRIMARY KEY);
      CREATE TABLE replica_b (a int REFERENCES replica_a);
      INSERT INTO replica_a VALUES (1);
      INSERT INTO replica_b VALUES (1);`,
  },
  {
    name: "another role in every session of this database",
    sql: `
      DO $do$ BEGIN CREATE ROLE powerless; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;
      ALTER DATABASE budgie_dev SET role = 'powerless';
      ALTER ROLE budgie_user IN DATABASE budgie_dev SET role = 'powerless';
      CREATE TABLE not_theirs (a int);
      INSERT INTO not_theirs VALUES (1);`,
    undo: "DROP ROLE powerless",
  },
  {
    name: "another role, and little memory, in every session of the server's superuser",
    sql: `
      DO $do$ BEGIN CREATE ROLE powerless_too; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;
      ALTER ROLE budgie_user SET role = 'powerless_too';
      ALTER ROLE budgie_user SET work_mem = '64kB';
      ALTER ROLE budgie_user SET maintenance_work_mem = '1MB';
      ALTER ROLE budgie_user SET temp_buffers = '800kB';
      ALTER ROLE budgie_user SET search_path = 'nowhere';
      ALTER ROLE budgie_user SET client_encoding = 'LATIN1';
      ALTER ROLE budgie_user SET row_security = off;
      ALTER ROLE budgie_user SET session_replication_role = 'replica';
      ALTER ROLE budgie_user SET log_statement = 'all';
      CREATE TABLE role_in_role (a text);
      INSERT INTO role_in_role VALUES (U&'\\20ac');`,
    undo: `${RESET_ROLE}; DROP ROLE powerless_too`,
  },
  {
    name: "plans, languages and messages chosen in other ways",
    sql: `
      ALTER DATABASE budgie_dev SET enable_seqscan = off;
      ALTER DATABASE budgie_dev SET enable_indexscan = off;
      ALTER DATABASE budgie_dev SET jit_above_cost = 0;
      ALTER DATABASE budgie_dev SET debug_parallel_query = on;
      ALTER DATABASE budgie_dev SET client_min_messages = 'debug1';
      ALTER DATABASE budgie_dev SET lc_messages = 'en_US.utf8';
      ALTER DATABASE budgie_dev SET default_text_search_config = 'german';
      ALTER DATABASE budgie_dev SET plpgsql.variable_conflict = 'use_variable';
      ALTER DATABASE budgie_dev SET vacuum_freeze_min_age = 0;
      ALTER DATABASE budgie_dev SET app.odd = 'a "quoted" value, with ''everything'' = \\ in it';
      CREATE TABLE planned (id int, t text, v tsvector GENERATED ALWAYS AS (to_tsvector('simple', t)) STORED);
      INSERT INTO planned SELECT n, 'Häuser ' || n FROM generate_series(1, 100) n;`,
  },
  {
    name: "a LATIN1 database with letters of its own, in names too",
    database: LATIN1,
    sql: `
      CREATE TABLE "café" ("über" text CHECK ("über" <> 'ß'));
      INSERT INTO "café" SELECT chr(n) FROM generate_series(160, 255) n WHERE n <> 223;
      COMMENT ON TABLE "café" IS 'ÀÉÎ';`,
  },
  {
    name: "a LATIN1 database whose sessions speak UTF8",
    database: LATIN1,
    sql: `
      ALTER DATABASE budgie_dev SET client_encoding = 'UTF8';
      CREATE FUNCTION accented() RETURNS text LANGUAGE sql AS $$ SELECT 'éèê'::text $$;
      CREATE TYPE accents AS ENUM ('é', 'è');
      CREATE TABLE accented_rows (a accents, t text[]);
      INSERT INTO accented_rows VALUES ('é', ARRAY['ñ', NULL, 'ÿ']);`,
  },
  {
    name: "an EUC_JP database",
    database: EUC_JP,
    sql: `
      CREATE TABLE "日本" ("名前" varchar(9) CHECK ("名前" IN ('山田', '鈴木', 'ア')), t text);
      INSERT INTO "日本" VALUES ('山田', 'ひらがな \\ ～'), ('鈴木', '表ソ能\\.');
      CREATE VIEW "見る" AS SELECT "名前" AS "人" FROM "日本" WHERE "名前" <> '山田';`,
  },
  {
    name: "an SQL_ASCII database with bytes that are no text at all",
    database: SQL_ASCII,
    sql: String.raw`
      CREATE TABLE any_bytes (id int, t text);
      INSERT INTO any_bytes SELECT n, convert_from(set_byte('\x61006261'::bytea, 1, n), 'SQL_ASCII') FROM generate_series(1, 255) n;
      INSERT INTO any_bytes VALUES (300, convert_from('\xc328a0a1e228a1e28228f0288cbcff', 'SQL_ASCII')), (301, 'é');`,
  },
  {
    name: "an SQL_ASCII database with names, comments and labels in another encoding",
    database: SQL_ASCII,
    sql: String.raw`
      DO $do$ BEGIN
        EXECUTE convert_from('CREATE TABLE "caf'::bytea || '\xe9'::bytea || '" ("'::bytea || '\xfc'::bytea || '" text)'::bytea, 'SQL_ASCII');
        EXECUTE convert_from('INSERT INTO "caf'::bytea || '\xe9'::bytea || '" VALUES (''x'')'::bytea, 'SQL_ASCII');
        EXECUTE convert_from('COMMENT ON TABLE "caf'::bytea || '\xe9'::bytea || '" IS '''::bytea || '\xe8'::bytea || ''''::bytea, 'SQL_ASCII');
        EXECUTE convert_from('CREATE TYPE labels AS ENUM ('''::bytea || '\xe0'::bytea || ''', ''b'')'::bytea, 'SQL_ASCII');
        EXECUTE convert_from('CREATE VIEW bytes_view AS SELECT '''::bytea || '\xff'::bytea || '''::text AS "'::bytea || '\xfe'::bytea || '"'::bytea, 'SQL_ASCII');
      END $do$;`,
  },
  {
    name: "an SQL_ASCII database whose names differ in bytes that are no text, with sequences and rewritten checks",
    database: SQL_ASCII,
    sql: String.raw`
      DO $do$ DECLARE letter bytea; BEGIN
        FOREACH letter IN ARRAY ARRAY['\xe0'::bytea, '\xe1'] LOOP
          EXECUTE convert_from('CREATE TABLE "th'::bytea || letter || '" (id serial, v varchar(9) CHECK (v IN (''a'', ''b'')))', 'SQL_ASCII');
          EXECUTE convert_from('INSERT INTO "th'::bytea || letter || '" (v) VALUES (''a''), (''b'')', 'SQL_ASCII');
        END LOOP;
        EXECUTE convert_from('SELECT setval(''"th'::bytea || '\xe1'::bytea || '_id_seq"'', 700, false)', 'SQL_ASCII');
      END $do$;`,
  },
];
