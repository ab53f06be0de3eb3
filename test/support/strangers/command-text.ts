import type { StrangerDatabase } from "./database.ts";

/** Names, comments, bodies and rows that look like psql's commands, or like lines of a dump. */
export const COMMAND_TEXT: readonly StrangerDatabase[] = [
  {
    name: "a line that looks like a psql command in a comment",
    sql: String.raw`
      CREATE TABLE t5 (a int);
      COMMENT ON TABLE t5 IS E'how to:\n\\c budgie_dev\ndone';`,
  },
  {
    name: "every psql command, each on a line of its own, in comments on everything",
    sql: String.raw`
      CREATE TABLE commented (a int PRIMARY KEY, b text CHECK (b <> ''));
      CREATE INDEX commented_b ON commented (b);
      CREATE VIEW commented_view AS SELECT * FROM commented;
      CREATE FUNCTION commented_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
      COMMENT ON TABLE commented IS E'\n\\! touch /tmp/x\n\\o /tmp/x\n\\i /tmp/x\n\\copy commented to program ''cat''\n\\gexec\n\\q\n';
      COMMENT ON COLUMN commented.a IS E'\\restrict abc\n\\unrestrict abc\n\\connect - - - -\n \\c x\n\t\\c y';
      COMMENT ON CONSTRAINT commented_pkey ON commented IS E'a'';\n\\.\n\\.\n';
      COMMENT ON INDEX commented_b IS E'SELECT 1 \\g |cat\n\\set x ${"`"}id${"`"}\n:x :''x'' :"x"';
      COMMENT ON VIEW commented_view IS E'\\if true\n\\else\n\\endif';
      COMMENT ON FUNCTION commented_function() IS E'\\\n\\\\\n\\';
      COMMENT ON SCHEMA public IS E'not the usual one\n\\c elsewhere';`,
  },
  {
    name: "a comment that holds a whole block of table data",
    sql: String.raw`
      CREATE TABLE block_comment (id int, t text);
      INSERT INTO block_comment VALUES (1, 'one');
      COMMENT ON TABLE block_comment IS '
--
-- Data for Name: block_comment; Type: TABLE DATA; Schema: public; Owner: budgie_user
--

COPY public.block_comment (id, t) FROM stdin;
2	two
\.


--
-- PostgreSQL database dump complete
--

\unrestrict x
';
      COMMENT ON COLUMN block_comment.t IS '
-- Name: block_comment; Type: TABLE; Schema: public; Owner: -
CREATE TABLE public.block_comment (
);
ALTER TABLE public.block_comment OWNER TO nobody;';`,
  },
  {
    name: "bodies of functions in quotes of every kind",
    sql: String.raw`
      CREATE FUNCTION body_dollar() RETURNS text LANGUAGE sql AS $body$ SELECT '
\connect budgie_dev
\.
COPY public.x (a) FROM stdin;
\! id
' $body$;
      CREATE FUNCTION body_quote() RETURNS text LANGUAGE sql AS ' SELECT ''
\c x
\\.
$$ $_$ $a$
''';
      CREATE FUNCTION body_escape() RETURNS text LANGUAGE sql AS E' SELECT \'\n\\c x\n\\\\.\n\'::text ';
      CREATE FUNCTION body_nested() RETURNS text LANGUAGE plpgsql AS $a$ BEGIN
        EXECUTE $b$ SELECT $c$
\copy x from program 'id'
$c$ $b$; -- it's $$ an apostrophe, "and quotes
        /* \c x /* nested */
\q
        */ RETURN $d$ '
\.
' $d$;
      END $a$;
      SET check_function_bodies = off;
      CREATE FUNCTION body_dollars() RETURNS text LANGUAGE sql AS '
$_$ $$ $_X$
\c x
';
      CREATE PROCEDURE body_copy() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1;
END;
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: -
$$;`,
  },
  {
    name: "functions whose body PostgreSQL writes, with such text in them",
    sql: String.raw`
      CREATE FUNCTION atomic_text() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT '
\c budgie_dev
\.
' || E'\\! id\n\\q' || 'it''s' AS "a
\c b"; END;
      CREATE FUNCTION atomic_two(a text DEFAULT E'\n\\q\n') RETURNS text LANGUAGE sql RETURN a || '; END; \c x
\.
';`,
  },
  {
    name: "names with newlines, quotes, backslashes and commands",
    sql: String.raw`
      CREATE SCHEMA "odd
schema";
      CREATE TABLE "odd
schema"."odd
\c budgie_dev
\.
table" ("a
\q
b" int PRIMARY KEY, "c""d\" text, "; DROP TABLE x; --" text, "'" text, "	tab" text, " " text, "é€" text, "COPY public.x FROM stdin;" text);
      INSERT INTO "odd
schema"."odd
\c budgie_dev
\.
table" VALUES (1, E'\\.', E'\n\\.\n', E'\\N', E'\t', E'\r', E'\b\f\v', ''), (2, NULL, '', 'N', '\n', '\', '\\', '\.');
      CREATE INDEX "index
\q" ON "odd
schema"."odd
\c budgie_dev
\.
table" ("c""d\");
      CREATE VIEW "view
\! id" AS SELECT "a
\q
b" AS "again
\.
here" FROM "odd
schema"."odd
\c budgie_dev
\.
table";
      CREATE SEQUENCE "sequence
-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: -
COPY x FROM stdin;";
      SELECT nextval('"sequence
-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: -
COPY x FROM stdin;"');
      CREATE TYPE "type
\c" AS ENUM (E'label\n\\.\n', '\q', '''', '');
      CREATE TABLE "typed
\." (t "type
\c");
      INSERT INTO "typed
\." VALUES (E'label\n\\.\n'), ('\q'), ('');`,
  },
  {
    name: "tables and columns named like the lines of a dump",
    sql: String.raw`
      CREATE TABLE "COPY x FROM stdin;" ("-- Data for Name: y; Type: TABLE DATA; Schema: public; Owner: -" text, "(a, b) FROM stdin;" int);
      INSERT INTO "COPY x FROM stdin;" VALUES ('COPY x FROM stdin;', 1), (E'\\.', 2), ('-- PostgreSQL database dump complete', 3);
      CREATE TABLE "a; Type: TABLE DATA; Schema: public; Owner: b" (id int);
      INSERT INTO "a; Type: TABLE DATA; Schema: public; Owner: b" VALUES (1);
      CREATE TABLE "x (a) FROM stdin;
1
\.
" (a int);
      INSERT INTO "x (a) FROM stdin;
1
\.
" VALUES (5);
      CREATE TABLE "FROM stdin;" ("FROM" int, "stdin" int, "select" text, "\N" text);
      INSERT INTO "FROM stdin;" VALUES (1, 2, 'FROM stdin;', '\N');`,
  },
  {
    name: "rows that hold all of it",
    sql: String.raw`
      CREATE TABLE holds (id int GENERATED ALWAYS AS IDENTITY, t text);
      INSERT INTO holds (t) VALUES ('\.'), (E'\n\\.\n'), (E'\\.\n'), ('\N'), (''), (NULL), ('\'), ('\\'), (E'\r\n\\.\r\n'), (E'\\.\r'),
        ('\restrict x'), (E'\n\\unrestrict x\n'), ('\connect budgie_dev'), (E'a\n\\c postgres\nb'), ('\! id'), ('COPY public.holds (id, t) FROM stdin;'),
        (E'-- Data for Name: holds; Type: TABLE DATA; Schema: public; Owner: x\n\nCOPY public.holds (id, t) FROM stdin;\n1\tx\n\\.\n'),
        (E'--\n-- PostgreSQL database dump complete\n--\n'), ('$$'), ('$_$'), (''';'), ('";'), ('/*'), ('*/'), ('--'), (E'\x01\x7f'), (E'\t'), (E'x\ty\tz'),
        (U&'\00a0\2028\2029\feff'), ('${"`"}id${"`"}'), (':x'), (':''x'''), ('%s%n'), (E'\v\f\b');
      CREATE TABLE holds_one ("\." text);
      INSERT INTO holds_one SELECT t FROM holds;
      CREATE TABLE holds_arrays (a text[], j jsonb, x xml, b bytea);
      INSERT INTO holds_arrays SELECT array_agg(t ORDER BY id), jsonb_agg(t ORDER BY id), '<a>\.</a>', '\x5c2e0a5c2e0a' FROM holds;`,
  },
  {
    name: "defaults, checks, views and labels with lines of commands",
    sql: String.raw`
      CREATE TABLE text_in_ddl (
        a text DEFAULT '
\c budgie_dev
\.
',
        b text DEFAULT E'\\' CHECK (b <> '
\! id
'),
        c text GENERATED ALWAYS AS (a || '
\.
') STORED);
      CREATE INDEX ON text_in_ddl ((a || '
\q
')) WHERE b <> '\.
';
      CREATE VIEW text_in_view AS SELECT '
\.
' AS a, E'\\\n\\c x\n' AS "b
\c", '--' AS "--", '/*' AS "/*", $x$ $y$
\q $x$ AS c FROM text_in_ddl WHERE a ~ '\.\w+\\'
 AND b LIKE 'x\%' ESCAPE '\';
      CREATE RULE text_rule AS ON INSERT TO text_in_ddl DO ALSO NOTIFY "channel
\c", '
\.
';
      ALTER TABLE text_in_ddl DISABLE RULE text_rule;
      INSERT INTO text_in_ddl DEFAULT VALUES;
      CREATE POLICY "policy
\q" ON text_in_ddl USING (a <> '
\.
');`,
  },
  {
    name: "roles, tablespaces' words and options with quotes in them",
    sql: String.raw`
      DO $$ BEGIN CREATE ROLE "odd ""role""
\c x"; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      CREATE TABLE owned_oddly (a int);
      ALTER TABLE owned_oddly OWNER TO "odd ""role""
\c x";
      CREATE TABLE granted_oddly (a int);
      GRANT SELECT ON granted_oddly TO "odd ""role""
\c x" WITH GRANT OPTION;
      ALTER DEFAULT PRIVILEGES FOR ROLE "odd ""role""
\c x" IN SCHEMA public GRANT INSERT ON TABLES TO PUBLIC;
      CREATE FOREIGN DATA WRAPPER "odd wrapper" OPTIONS (a '
\c x
', "b c" '''\');
      CREATE SERVER "odd server
\." TYPE 'a''b' VERSION '
\q' FOREIGN DATA WRAPPER "odd wrapper" OPTIONS (x '\');
      ALTER FUNCTION pg_catalog.now() SET "odd.setting" = '
\c x'; ALTER FUNCTION pg_catalog.now() RESET ALL;
      CREATE FUNCTION set_oddly() RETURNS int LANGUAGE sql SET "odd.setting" = E'\n\\.\n' SET search_path = "a b", 'c''d', pg_temp AS 'SELECT 1';`,
    undo: String.raw`DROP ROLE "odd ""role""
\c x"`,
  },
  {
    name: "text that ends a dump, in front of and behind everything",
    sql: String.raw`
      CREATE SCHEMA "0";
      CREATE TABLE "0"."0" ("0" text);
      INSERT INTO "0"."0" VALUES (E'--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict same\n');
      CREATE SCHEMA "~";
      CREATE FUNCTION "~"."~"() RETURNS text LANGUAGE sql AS $$ SELECT '
--
-- PostgreSQL database dump complete
--

'::text $$;
      COMMENT ON FUNCTION "~"."~"() IS '
--
-- PostgreSQL database dump complete
--
';
      CREATE TABLE "~"."~" ("~" text);
      INSERT INTO "~"."~" SELECT E'\\.' FROM generate_series(1, 50);`,
  },
  {
    name: "one-column rows that are a lone backslash and dot, of every type that can be",
    sql: String.raw`
      CREATE TABLE lone_text (t text); INSERT INTO lone_text VALUES ('\.'), ('\.'), ('.'), ('\');
      CREATE TABLE lone_char (t char(2)); INSERT INTO lone_char VALUES ('\.');
      CREATE TABLE lone_varchar (t varchar); INSERT INTO lone_varchar VALUES ('\.');
      CREATE TABLE lone_name (t name); INSERT INTO lone_name VALUES ('\.');
      CREATE TABLE lone_enum_array (t text[]); INSERT INTO lone_enum_array VALUES ('{"\\."}');
      CREATE DOMAIN lone_domain AS text; CREATE TABLE lone_of_domain (t lone_domain); INSERT INTO lone_of_domain VALUES ('\.');
      CREATE TABLE lone_escaped (t bytea); INSERT INTO lone_escaped VALUES ('\x5c2e');
      CREATE TABLE lone_json (t json); INSERT INTO lone_json VALUES ('"\\."'), (E'"\\\\."\n');`,
  },
  {
    name: "bodies with carriage returns, and with bytes that terminals heed",
    sql: String.raw`
      SET check_function_bodies = off;
      DO $do$ BEGIN
        EXECUTE E'CREATE FUNCTION with_returns() RETURNS int LANGUAGE sql AS $$\r\n SELECT 1; \r\n\\c x\r\n$$';
        EXECUTE E'COMMENT ON FUNCTION with_returns() IS ''one\r\ntwo\r\\.\r\n\x1b[2J\x07''';
        EXECUTE E'CREATE VIEW with_returns_view AS SELECT ''a\r\nb\rc''::text AS "d\r\ne"';
      END $do$;
      CREATE TABLE with_returns_rows (t text, "u
v" text);
      INSERT INTO with_returns_rows VALUES (E'a\r\nb', E'\r'), (E'\r\n\\.\r\n', E'\x1b[2J');`,
  },
  {
    name: "standard words of SQL as names of everything",
    sql: `
      CREATE SCHEMA "select";
      CREATE TABLE "select"."from" ("where" int PRIMARY KEY, "order" text DEFAULT 'by', "user" name DEFAULT current_user, "null" text, "copy" int);
      CREATE VIEW "select"."table" AS SELECT "where" AS "group", "order" AS "limit" FROM "select"."from" "join" WHERE "null" IS NULL;
      CREATE INDEX "index" ON "select"."from" ("order" DESC, "copy");
      CREATE FUNCTION "select"."function"("in" int, OUT "out" int) LANGUAGE sql AS 'SELECT $1';
      CREATE TYPE "select"."type" AS ("end" int, "begin" text);
      CREATE TABLE "select"."grant" ("type" "select"."type");
      CREATE TRIGGER "trigger" BEFORE UPDATE ON "select"."from" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
      INSERT INTO "select"."from" ("where") VALUES (1), (2);
      INSERT INTO "select"."grant" VALUES (ROW(1, 'end'));`,
  },
];
