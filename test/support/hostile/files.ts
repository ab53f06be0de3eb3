/** A stranger's file: a good plain dump, with lines before its completion line that reach beyond the database. */
export interface HostileFile {
  name: string;
  /** The lines before the completion line. */
  lines: string;
}

/** An attack that works once the lines before it have connected to the live database. */
const IN_LIVE = `
DROP TABLE public.scratch;
CREATE TABLE public.hostile ();
INSERT INTO public.kept VALUES (666, 'hostile');
`;

/** A file in the agent's backup directory, for lines that include it. */
export const INCLUDED = {
  name: "hostile-included.sql",
  text: "\\! touch /tmp/hostile-included\n\\c budgie_dev\nDROP TABLE public.scratch;\n",
};

const into = (name: string, lines: string): HostileFile => ({
  name: `${name}, then a DROP TABLE`,
  lines: lines + IN_LIVE,
});
const file = (name: string, lines: string): HostileFile => ({ name, lines });

/** Every way to write \connect: alone, within a line, and behind quotes that are easily misread. */
const CONNECTS: readonly HostileFile[] = [
  into("\\connect", String.raw`\connect budgie_dev`),
  into("\\c", String.raw`\c budgie_dev`),
  into("\\c with a blank before it", String.raw`   \connect budgie_dev`),
  into("\\c with a tab before it", "\t\\c budgie_dev"),
  into("\\c with a form feed and a carriage return before it", "\f\v\r\\c budgie_dev"),
  into("\\c behind a statement on its line", String.raw`SELECT 1; \connect budgie_dev`),
  into("\\c without a blank behind a statement", String.raw`SELECT 1;\c budgie_dev`),
  into("\\c within a statement", String.raw`SELECT 1 \c budgie_dev`),
  into("\\c behind a quoted string", String.raw`SELECT 'x' AS "y" ; \c budgie_dev`),
  into("\\c behind a string that ends with a backslash", String.raw`SELECT 'x\'; \c budgie_dev`),
  into(
    "\\c behind an escape string with quotes in it",
    String.raw`SELECT E'it\'s \\', E'\\\''; \c budgie_dev`,
  ),
  into("\\c behind a Unicode string", String.raw`SELECT U&'\0041\\'; \c budgie_dev`),
  into("\\c behind a national and a bit string", String.raw`SELECT N'x\', B'1', X'f'; \c budgie_dev`),
  into("\\c behind a string that goes on in the next line", "SELECT E'a'\n'\\'' ; \\c budgie_dev"),
  into("\\c behind a string of two lines", "SELECT 'a\n\\c nowhere\n'; \\c budgie_dev"),
  into("\\c behind a name that ends with a backslash", String.raw`SELECT 1 AS "a\"; \c budgie_dev`),
  into("\\c behind a dollar quote that ends on its line", "SELECT $$\n\\c nowhere\n$$; \\c budgie_dev"),
  into("\\c behind dollar quotes that look nested", String.raw`SELECT $a$ $b$ $a$, $b$ ' $b$; \c budgie_dev`),
  into(
    "\\c behind a parameter that looks like a dollar quote",
    String.raw`PREPARE p AS SELECT $1::text, a$b$c FROM (SELECT 1 AS a$b$c) x; \c budgie_dev`,
  ),
  into("\\c behind a comment on its line", String.raw`/* ' */ \c budgie_dev`),
  into("\\c behind a comment in a comment", "/* /* ' */\n\\c nowhere\n*/ \\c budgie_dev"),
  into("\\c in the line behind a comment to the line's end", "-- it's a comment $$ /*\n\\c budgie_dev"),
  into("\\c behind a comment that a carriage return ends", "-- a comment\r\\c budgie_dev"),
  into("\\c behind another command", String.raw`\echo one \\ \c budgie_dev`),
  into("\\c behind a command with a quoted argument", "\\echo 'it''s' \"two\" \\c budgie_dev"),
  into("\\c out of a variable", "\\set go '\\\\c budgie_dev'\n:go"),
  into("\\c within parentheses", String.raw`SELECT (1 \r \c budgie_dev`),
  into(
    "\\c within BEGIN ATOMIC",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; \\r \\c budgie_dev",
  ),
  into("\\c behind a COPY's end", "COPY public.kept FROM stdin;\n7\tx\n\\.\n\\c budgie_dev"),
  into("\\c behind an empty COPY", "COPY public.kept FROM stdin;\n\\.\n \\c budgie_dev"),
  into(
    "\\c behind a COPY that ends with a carriage return",
    "COPY public.kept FROM stdin;\n7\tx\n\\.\r\n\\c budgie_dev",
  ),
  into(
    "\\c behind a COPY on a line with another statement",
    "SELECT 1; COPY public.kept FROM stdin; SELECT 2;\n\\.\n\\c budgie_dev",
  ),
  into("\\c behind a COPY that fails before its data", "COPY public.nowhere FROM stdin;\n\\c budgie_dev"),
  into(
    "\\c behind a COPY that is only text",
    "SELECT '\nCOPY public.kept (id, note) FROM stdin;\n'; \\c budgie_dev",
  ),
  into(
    "\\c behind a COPY that is only a comment",
    "/*\nCOPY public.kept (id, note) FROM stdin;\n*/\n\\c budgie_dev",
  ),
  into("\\c behind a COPY from a file", "COPY public.kept FROM '/dev/null';\n\\c budgie_dev"),
  into("\\c behind \\copy with data", "\\copy public.kept from stdin\n8\tx\n\\.\n\\c budgie_dev"),
  into("\\c with a connection string", String.raw`SELECT 1; \c "dbname=budgie_dev"`),
  into("\\c with a URL", String.raw`SELECT 1; \connect postgresql:///budgie_dev`),
  into(
    "\\c that keeps the rest",
    String.raw`SELECT 1; \c -reuse-previous=on "dbname=budgie_dev user=budgie_user"`,
  ),
  into(
    "\\c with strings that do not mean what they meant",
    "SET standard_conforming_strings = off;\nSELECT 'it\\'s'; \\c budgie_dev",
  ),
  into("\\c in an encoding whose letters hold backslashes", "\\encoding SJIS\n\\c budgie_dev"),
  into(
    "\\c behind errors that are to be ignored",
    "\\set ON_ERROR_STOP 0\nSELECT 1/0;\n\\unset ON_ERROR_STOP\n\\c budgie_dev",
  ),
];

const PSQL: readonly HostileFile[] = [
  file("\\!", String.raw`\! id > /tmp/hostile; sh -c 'sleep 600' >/dev/null 2>&1 &`),
  file("\\! without a blank", String.raw`SELECT 1;\!touch /tmp/hostile`),
  file("a command's output in \\set", "\\set x `id > /tmp/hostile`"),
  file("a command's output in \\echo", "\\echo one `touch /tmp/hostile`"),
  file("a command's output in \\if", "\\if `touch /tmp/hostile; echo true`\n\\endif"),
  file("a command's output in \\pset", "\\pset null `touch /tmp/hostile`"),
  file("\\g to a program", String.raw`SELECT 1 \g |id > /tmp/hostile`),
  file("\\g to a file", String.raw`SELECT 1 \g /tmp/hostile`),
  file("\\gx to a program", String.raw`SELECT 1 \gx |touch /tmp/hostile`),
  file("\\g with options to a program", String.raw`SELECT 1 \g (format=csv) |touch /tmp/hostile`),
  file("\\bind and \\g to a program", String.raw`SELECT $1 \bind x \g |touch /tmp/hostile`),
  file("statements of one line and \\g to a program", String.raw`SELECT 1\; SELECT 2 \g |touch /tmp/hostile`),
  file("\\gexec", String.raw`SELECT 'DROP DATABASE budgie_dev WITH (FORCE)' \gexec`),
  file("\\gset and \\o", "SELECT '/tmp/hostile' AS where_to \\gset\n\\o :where_to\nSELECT 1;"),
  file("\\o to a file", "\\o /tmp/hostile\nSELECT 1;"),
  file("\\o to a program", "\\o |touch /tmp/hostile\nSELECT 1;"),
  file("\\out to the backup directory", "\\out /backups/hostile-written\nSELECT 1;"),
  file("\\qecho to a file", "\\o /tmp/hostile\n\\qecho x"),
  file("\\w to a file", "SELECT 1\n\\w /tmp/hostile\n;"),
  file("\\w to a program", "SELECT 1\n\\write |touch /tmp/hostile\n;"),
  file("\\s to a file", String.raw`\s /tmp/hostile`),
  file("\\copy to a file", String.raw`\copy public.kept to /tmp/hostile`),
  file("\\copy to a program", String.raw`\copy public.kept to program 'cat > /tmp/hostile'`),
  file("\\copy from a program", String.raw`\copy public.kept from program 'touch /tmp/hostile'`),
  file(
    "\\copy from the passwords",
    "CREATE TABLE public.leak (line text);\n\\copy public.leak from /root/pgpass",
  ),
  file("\\copy of a query", String.raw`\copy (SELECT 1) to program 'touch /tmp/hostile'`),
  file("\\i", `\\i /backups/${INCLUDED.name}`),
  file("\\ir", `\\ir /backups/${INCLUDED.name}`),
  file("\\include", `\\include '/backups/${INCLUDED.name}'`),
  file("\\include_relative", `\\cd /backups\n\\include_relative ${INCLUDED.name}`),
  file("\\i of a program's output", "\\o |cat > /tmp/hostile\n\\qecho x\n\\o\n\\i /tmp/hostile"),
  file("\\cd and \\o", "\\cd /root\n\\o hostile\nSELECT 1;"),
  file("\\setenv and \\e", "\\setenv PSQL_EDITOR 'touch /tmp/hostile;'\nSELECT 1\n\\e\n;"),
  file("\\edit and \\ef", "\\setenv EDITOR 'touch /tmp/hostile #'\n\\edit /tmp/hostile\n\\ef\n"),
  file("\\setenv of a pager", "\\setenv PAGER 'touch /tmp/hostile'\n\\pset pager always\nSELECT 1;\n\\?"),
  file(
    "\\setenv of a connection",
    "\\setenv PGDATABASE budgie_dev\n\\setenv PGOPTIONS '-c work_mem=5MB'\n\\c -reuse-previous=off \"\"\nDROP TABLE public.scratch;",
  ),
  file(
    "\\getenv and \\o",
    "\\getenv secrets PGPASSFILE\n\\o |cat :secrets > /tmp/hostile\nSELECT :'secrets';",
  ),
  file("\\lo_export", "SELECT lo_from_bytea(4711, 'x');\n\\lo_export 4711 /tmp/hostile"),
  file("\\lo_import of the passwords", String.raw`\lo_import /root/pgpass`),
  file("\\password", "\\password budgie_user\nhostile\nhostile"),
  file("\\if and \\!", "\\if true\n\\! touch /tmp/hostile\n\\else\n\\endif"),
  file("\\watch and \\!", "SELECT 1 \\watch c=2 i=0.1\n\\! touch /tmp/hostile"),
  file(
    "\\crosstabview to a program",
    "\\o |touch /tmp/hostile\nSELECT 1 AS a, 2 AS b, 3 AS c \\crosstabview",
  ),
  file(
    "\\unrestrict with guesses",
    "\\unrestrict\n\\unrestrict x\n\\unrestrict same\n\\! touch /tmp/hostile",
  ),
  file(
    "\\restrict and \\unrestrict of its own",
    "\\restrict mine\n\\unrestrict mine\n\\! touch /tmp/hostile",
  ),
  file(
    "\\restrict in the midst of a line",
    "SELECT 1; \\restrict mine\nSELECT 1; \\unrestrict mine \\! touch /tmp/hostile",
  ),
  file("\\q, so that nothing behind it is loaded", String.raw`\q`),
  file(
    "variables that run when they are read",
    "\\set PROMPT1 '%`touch /tmp/hostile`'\n\\set HISTFILE /tmp/hostile\n\\set ON_ERROR_ROLLBACK on\nSELECT 1;",
  ),
];

/** What the server itself lets superusers do in SQL. */
const SQL: readonly HostileFile[] = [
  file("COPY to a program", "COPY (SELECT 1) TO PROGRAM 'cat > /tmp/hostile';"),
  file("COPY to a program that stays", "COPY (SELECT 1) TO PROGRAM 'sleep 600 > /dev/null 2>&1 &';"),
  file("COPY from a program", "COPY public.kept FROM PROGRAM 'touch /tmp/hostile';"),
  file("COPY to a file", "COPY (SELECT 1) TO '/tmp/hostile';"),
  file("COPY into the data directory", "COPY (SELECT 1) TO '/var/lib/postgresql/data/hostile_in_data';"),
  file(
    "COPY over who may connect",
    "COPY (SELECT 'host all all all trust') TO '/var/lib/postgresql/data/pg_hba.conf'; SELECT pg_reload_conf();",
  ),
  file(
    "COPY from the agent's passwords",
    "CREATE TABLE public.leak (line text); COPY public.leak FROM '/root/pgpass';",
  ),
  file(
    "the environment of the server's first process",
    "CREATE TABLE public.leak AS SELECT encode(pg_read_binary_file('/proc/1/environ'), 'escape');",
  ),
  file(
    "the server's hashed passwords",
    "CREATE TABLE public.leak AS SELECT rolname, rolpassword FROM pg_authid;",
  ),
  file(
    "pg_read_file and pg_ls_dir",
    "CREATE TABLE public.leak AS SELECT pg_read_file('/root/pgpass') UNION ALL SELECT pg_ls_dir('/backups');",
  ),
  file("lo_export", "SELECT lo_from_bytea(4712, 'x'); SELECT lo_export(4712, '/tmp/hostile');"),
  file("lo_import", "SELECT lo_import('/root/pgpass');"),
  file("ALTER SYSTEM", "ALTER SYSTEM SET work_mem = '5MB';"),
  file(
    "ALTER SYSTEM and a reload",
    "ALTER SYSTEM SET archive_command = 'touch /tmp/hostile'; SELECT pg_reload_conf();",
  ),
  file("ALTER SYSTEM RESET ALL", "ALTER SYSTEM RESET ALL;"),
  file("pg_reload_conf", "SELECT pg_reload_conf();"),
  file(
    "pg_rotate_logfile, pg_promote and the like",
    "SELECT pg_rotate_logfile(); SELECT pg_switch_wal(); SELECT pg_promote(false);",
  ),
  file("CREATE ROLE", "CREATE ROLE hostile SUPERUSER LOGIN PASSWORD 'x';"),
  file(
    "CREATE ROLE within DO, its errors swallowed",
    "DO $$ BEGIN EXECUTE 'CREATE ROLE hostile SUPERUSER LOGIN'; EXCEPTION WHEN OTHERS THEN NULL; END $$;",
  ),
  file(
    "an owner who may run programs, and a program",
    "--\n-- Name: x; Type: TABLE; Schema: public; Owner: pg_execute_server_program\n--\n\nCOPY (SELECT 1) TO PROGRAM 'cat > /tmp/hostile';",
  ),
  file(
    "grants to those who may write the server's files, and a file",
    "GRANT SELECT ON public.kept TO pg_write_server_files;\nGRANT SELECT ON public.kept TO pg_read_server_files;\nCOPY (SELECT 1) TO '/tmp/hostile';",
  ),
  file("DROP ROLE", "DROP OWNED BY bystander; DROP ROLE bystander;"),
  file("ALTER ROLE … SUPERUSER", "ALTER ROLE bystander SUPERUSER;"),
  file("ALTER ROLE … PASSWORD", "ALTER ROLE budgie_user PASSWORD 'x';"),
  file("ALTER ROLE … VALID UNTIL", "ALTER ROLE budgie_user VALID UNTIL '2020-01-01';"),
  file("ALTER ROLE … SET", "ALTER ROLE budgie_user SET work_mem = '5MB';"),
  file("ALTER ROLE ALL SET", "ALTER ROLE ALL SET work_mem = '5MB';"),
  file(
    "ALTER ROLE … IN DATABASE",
    "ALTER ROLE budgie_user IN DATABASE budgie_dev SET default_transaction_read_only = on;",
  ),
  file("ALTER ROLE … RENAME", "ALTER ROLE bystander RENAME TO hostile;"),
  file("ALTER ROLE … CONNECTION LIMIT", "ALTER ROLE budgie_user CONNECTION LIMIT 0;"),
  file("GRANT of a role", "GRANT pg_execute_server_program TO bystander;"),
  file("GRANT on a parameter", "GRANT SET ON PARAMETER log_statement TO bystander;"),
  file("CREATE DATABASE", "CREATE DATABASE hostile;"),
  file("ALTER DATABASE … SET", "ALTER DATABASE budgie_dev SET work_mem = '5MB';"),
  file(
    "ALTER DATABASE … RENAME",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'budgie_dev'; ALTER DATABASE budgie_dev RENAME TO hostile;",
  ),
  file("ALTER DATABASE … OWNER", "ALTER DATABASE budgie_dev OWNER TO bystander;"),
  file(
    "ALTER DATABASE … ALLOW_CONNECTIONS",
    "ALTER DATABASE budgie_dev WITH ALLOW_CONNECTIONS false CONNECTION LIMIT 0 IS_TEMPLATE true;",
  ),
  file(
    "ALTER DATABASE of the candidate",
    "ALTER DATABASE budgie_dev_candidate SET work_mem = '5MB'; ALTER DATABASE budgie_dev_candidate OWNER TO bystander;",
  ),
  file(
    "ALTER DATABASE of whichever this is",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''5MB''', current_database()); END $$;",
  ),
  file("DROP DATABASE", "DROP DATABASE budgie_dev WITH (FORCE);"),
  file("DROP DATABASE, after a sleep", "SELECT pg_sleep(3); DROP DATABASE budgie_dev WITH (FORCE);"),
  file("DROP DATABASE of another one", "DROP DATABASE other_database WITH (FORCE);"),
  file(
    "GRANT on other databases",
    "GRANT CREATE ON DATABASE postgres, budgie_dev TO bystander; REVOKE CONNECT ON DATABASE budgie_dev FROM PUBLIC;",
  ),
  file(
    "COMMENT ON other databases and roles",
    "COMMENT ON DATABASE budgie_dev IS 'hostile'; COMMENT ON ROLE bystander IS 'hostile'; COMMENT ON TABLESPACE pg_default IS 'hostile';",
  ),
  file(
    "DROP OWNED and REASSIGN OWNED",
    "DROP OWNED BY bystander; REASSIGN OWNED BY bystander TO budgie_user;",
  ),
  file(
    "CREATE TABLESPACE",
    "COPY (SELECT 1) TO PROGRAM 'mkdir /tmp/hostile'; CREATE TABLESPACE hostile LOCATION '/tmp/hostile';",
  ),
  file(
    "CREATE TABLESPACE in place",
    "SET allow_in_place_tablespaces = on; CREATE TABLESPACE hostile LOCATION '';",
  ),
  file("ALTER TABLESPACE", "ALTER TABLESPACE pg_default SET (random_page_cost = 9);"),
  file(
    "pg_terminate_backend of everybody",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid();",
  ),
  file(
    "UPDATE of the catalogue",
    "UPDATE pg_catalog.pg_database SET datconnlimit = 0; UPDATE pg_catalog.pg_authid SET rolsuper = true;",
  ),
  file(
    "DELETE from the catalogue",
    "SET allow_system_table_mods = on; DELETE FROM pg_catalog.pg_authid WHERE rolname = 'bystander';",
  ),
  file(
    "SET SESSION AUTHORIZATION, then CREATE ROLE",
    "SET SESSION AUTHORIZATION budgie_user; CREATE ROLE hostile;",
  ),
  file(
    "RESET SESSION AUTHORIZATION, then ALTER SYSTEM",
    "RESET SESSION AUTHORIZATION; ALTER SYSTEM SET work_mem = '5MB';",
  ),
  file(
    "the name that the throw-away server's superuser has at first, as an owner, then COPY to a program",
    "--\n-- Name: x; Type: TABLE; Schema: public; Owner: agent\n--\n\nSET ROLE agent; COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile';",
  ),
  file("RESET ROLE, then COPY to a program", "RESET ROLE; COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile';"),
  file(
    "SET ROLE NONE, then DROP DATABASE",
    "SET ROLE NONE; SET ROLE budgie_user; DROP DATABASE budgie_dev WITH (FORCE);",
  ),
  file(
    "set_config of the role, then CREATE ROLE",
    "SELECT set_config('role', 'none', false), set_config('session_authorization', 'budgie_user', false); CREATE ROLE hostile;",
  ),
  file("DISCARD ALL, then CREATE DATABASE", "DISCARD ALL;\nCREATE DATABASE hostile;"),
  file(
    "dblink into the live database",
    "CREATE EXTENSION dblink; SELECT dblink_exec('dbname=budgie_dev', 'DROP TABLE public.scratch');",
  ),
  file(
    "dblink into the live database as its user",
    "CREATE EXTENSION dblink; SELECT dblink_exec('dbname=budgie_dev user=budgie_user', 'CREATE ROLE hostile');",
  ),
  file(
    "postgres_fdw into the live database",
    `CREATE EXTENSION postgres_fdw; CREATE SERVER hostile FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'budgie_dev'); CREATE USER MAPPING FOR CURRENT_USER SERVER hostile OPTIONS (user 'budgie_user', password_required 'false');
CREATE FOREIGN TABLE public.hostile_kept (id int, note text) SERVER hostile OPTIONS (table_name 'kept'); DELETE FROM public.hostile_kept; INSERT INTO public.hostile_kept VALUES (666, 'hostile');`,
  ),
  file(
    "file_fdw with a program",
    "CREATE EXTENSION file_fdw; CREATE SERVER hostile FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE public.hostile (x text) SERVER hostile OPTIONS (program 'touch /tmp/hostile'); CREATE MATERIALIZED VIEW public.hostile_rows AS SELECT * FROM public.hostile;",
  ),
  file("adminpack", "CREATE EXTENSION adminpack; SELECT pg_file_write('/tmp/hostile', 'x', false);"),
  file(
    "plpython3u",
    "CREATE EXTENSION plpython3u; CREATE FUNCTION public.hostile() RETURNS void LANGUAGE plpython3u AS 'import os; os.system(\"touch /tmp/hostile\")'; SELECT public.hostile();",
  ),
  file(
    "plperlu",
    "CREATE EXTENSION plperlu; CREATE FUNCTION public.hostile() RETURNS void LANGUAGE plperlu AS 'system(\"touch /tmp/hostile\")'; SELECT public.hostile();",
  ),
  file("LOAD", "COPY (SELECT 'no library') TO '/tmp/hostile.so'; LOAD '/tmp/hostile.so';"),
  file(
    "a function in C",
    "CREATE FUNCTION public.hostile(cstring) RETURNS int LANGUAGE c STRICT AS 'libc.so.6', 'system'; SELECT public.hostile('touch /tmp/hostile');",
  ),
  file(
    "an internal function",
    "CREATE FUNCTION public.hostile() RETURNS boolean LANGUAGE internal AS 'pg_reload_conf'; SELECT public.hostile();",
  ),
  file(
    "an event trigger",
    "CREATE FUNCTION public.hostile() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile'; END $$; CREATE EVENT TRIGGER hostile ON ddl_command_start EXECUTE FUNCTION public.hostile(); CREATE TABLE public.any_table ();",
  ),
  file(
    "a trigger that runs as its owner",
    "CREATE FUNCTION public.hostile() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile'; RETURN NEW; END $$; CREATE TRIGGER hostile BEFORE INSERT ON public.kept FOR EACH ROW EXECUTE FUNCTION public.hostile(); ALTER TABLE public.kept ENABLE ALWAYS TRIGGER hostile; INSERT INTO public.kept VALUES (7, 'x');",
  ),
  file(
    "a trigger on TRUNCATE",
    "CREATE FUNCTION public.hostile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE hostile; RETURN NULL; END $$; CREATE TRIGGER hostile BEFORE TRUNCATE ON public.kept FOR EACH STATEMENT EXECUTE FUNCTION public.hostile(); ALTER TABLE public.kept ENABLE ALWAYS TRIGGER hostile;",
  ),
  file(
    "an index whose function runs at ANALYZE",
    "CREATE FUNCTION public.hostile(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_setting('is_superuser') = 'on' THEN COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile'; END IF; RETURN $1; END $$; CREATE INDEX hostile ON public.kept (public.hostile(id)); ANALYZE public.kept;",
  ),
  file(
    "an index whose function runs at ANALYZE, and swallows what it may not",
    "CREATE FUNCTION public.hostile(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile'; RETURN $1; EXCEPTION WHEN OTHERS THEN RETURN $1; END $$; CREATE INDEX hostile ON public.kept (public.hostile(id)); CREATE STATISTICS public.hostile_statistics ON (public.hostile(id)) FROM public.kept;",
  ),
  file(
    "a default, a check and a generated column",
    "CREATE FUNCTION public.hostile(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch /tmp/hostile'; RETURN $1; EXCEPTION WHEN OTHERS THEN RETURN $1; END $$; ALTER TABLE public.kept ADD x int DEFAULT public.hostile(1) CHECK (public.hostile(x) > 0), ADD g int GENERATED ALWAYS AS (public.hostile(1)) STORED;",
  ),
  file(
    "row security that runs when a dump reads",
    "CREATE FUNCTION public.hostile() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE hostile; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; ALTER TABLE public.kept ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY hostile ON public.kept USING (public.hostile());",
  ),
  file(
    "a table that became a view with a function in it",
    "CREATE FUNCTION public.hostile() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE hostile; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 1; END $$; CREATE VIEW public.hostile_view AS SELECT public.hostile(); CREATE MATERIALIZED VIEW public.hostile_rows AS SELECT * FROM public.hostile_view;",
  ),
  file(
    "functions and operators with the catalogue's names",
    "CREATE FUNCTION public.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE hostile; RETURN $1; EXCEPTION WHEN OTHERS THEN RETURN $1; END $$; CREATE FUNCTION public.evil(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE hostile; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$; CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.evil); CREATE OPERATOR public.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = public.evil);",
  ),
  file(
    "a cast that happens by itself",
    "CREATE FUNCTION public.hostile(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE hostile; RETURN 'x'; EXCEPTION WHEN OTHERS THEN RETURN 'x'; END $$; CREATE TYPE public.t AS (a int); CREATE FUNCTION public.t_text(public.t) RETURNS text LANGUAGE sql AS 'SELECT public.hostile(1)'; CREATE CAST (public.t AS text) WITH FUNCTION public.t_text(public.t) AS IMPLICIT; CREATE TABLE public.ts (t public.t); INSERT INTO public.ts VALUES (ROW(1));",
  ),
  file(
    "replication slots and origins",
    "SELECT pg_create_physical_replication_slot('hostile', true); SELECT pg_replication_origin_create('hostile');",
  ),
  file("a logical slot", "SELECT pg_create_logical_replication_slot('hostile', 'test_decoding');"),
  file(
    "DROP of the slots that are there",
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots;",
  ),
  file(
    "a subscription to the live database",
    "CREATE SUBSCRIPTION hostile CONNECTION 'dbname=budgie_dev' PUBLICATION hostile WITH (enabled = false, create_slot = true);",
  ),
  file(
    "the lock of backups and restores",
    "CREATE EXTENSION dblink; SELECT pg_advisory_lock(1651860583, 2); SELECT dblink_connect('l', 'dbname=postgres'); SELECT * FROM dblink('l', 'SELECT pg_try_advisory_lock(1651860583, 2)') AS x (b boolean);",
  ),
  file(
    "NOTIFY, and statistics that are set back",
    "NOTIFY hostile, 'x'; SELECT pg_stat_reset_shared('bgwriter'); SELECT pg_stat_reset();",
  ),
  file(
    "everything at once, its errors swallowed",
    `DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY ARRAY[
    'RESET ROLE', 'SET SESSION AUTHORIZATION budgie_user', 'CREATE ROLE hostile SUPERUSER', 'ALTER ROLE budgie_user PASSWORD ''x''', 'ALTER DATABASE budgie_dev SET work_mem = ''5MB''',
    'ALTER DATABASE budgie_dev CONNECTION LIMIT 0', 'GRANT ALL ON DATABASE postgres TO bystander', 'COMMENT ON DATABASE budgie_dev IS ''x''', 'COPY (SELECT 1) TO PROGRAM ''touch /tmp/hostile''',
    'COPY (SELECT 1) TO ''/tmp/hostile_2''', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()', 'SELECT lo_from_bytea(4713, ''x'')', 'SELECT lo_export(4713, ''/tmp/hostile_3'')',
    'CREATE EXTENSION dblink', 'SELECT dblink_exec(''dbname=budgie_dev'', ''DROP TABLE public.scratch'')', 'SELECT pg_create_physical_replication_slot(''hostile'')', 'SELECT pg_reload_conf()', 'UPDATE pg_catalog.pg_authid SET rolsuper = true'
  ] LOOP BEGIN EXECUTE s; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$;`,
  ),
];

export const HOSTILE_FILES: readonly HostileFile[] = [...PSQL, ...CONNECTS, ...SQL];

const COMPLETION = "--\n-- PostgreSQL database dump complete\n--";

/** A good dump with such lines in it. It lacks pg_dump's \restrict, as dumps of an older pg_dump do. */
export function hostileDump(good: string, { lines }: HostileFile): string {
  const open = good.replace(/^\\(un)?restrict .*\n/gm, "");
  const at = open.lastIndexOf(COMPLETION);
  if (at === -1) throw new Error("the good dump is not whole");
  return `${open.slice(0, at)}${lines}\n\n${open.slice(at)}`;
}
