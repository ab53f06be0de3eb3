/** A database that can be backed up but not reloaded, what the agent must say of it, and what repairs it. */
export interface UnloadableDatabase {
  what: string;
  sql: string;
  object: string;
  why: RegExp;
  /** Each by itself: which of the lines that are printed, and what the operator types before them on his own. */
  cures: [how: string, lines: RegExp, first?: string][];
}

const ALL = /^/;
/** As it happens with a damaged index, or after a collation changed. */
const behind = (index: string, sql: string) => `
  UPDATE pg_index SET indisready = false, indislive = false, indisvalid = false WHERE indexrelid = '${index}'::regclass;
  ${sql};
  UPDATE pg_index SET indisready = true, indislive = true, indisvalid = true WHERE indexrelid = '${index}'::regclass;`;

export const UNLOADABLE: UnloadableDatabase[] = [
  {
    what: "an index on an extension's function that was altered to be IMMUTABLE",
    sql: `CREATE EXTENSION unaccent; ALTER FUNCTION unaccent(text) IMMUTABLE; CREATE TABLE t22 (n text);
          INSERT INTO t22 VALUES ('Hôtel'); CREATE INDEX ON t22 (unaccent(n)); CREATE INDEX other ON t22 (lower(unaccent(n)), n) WHERE n > '';`,
    object: "the index public.other of public.t22",
    why: /^public\.unaccent\(text\) is IMMUTABLE only by an ALTER FUNCTION, and comes back as the extension unaccent makes it$/,
    cures: [["an own function around it", ALL]],
  },
  {
    what: "a generated column of an altered extension function",
    sql: `CREATE EXTENSION unaccent; ALTER FUNCTION unaccent(text) IMMUTABLE;
          CREATE TABLE "G" (n text, "plain N" text GENERATED ALWAYS AS (unaccent(n)) STORED); INSERT INTO "G" VALUES ('é');`,
    object: 'the generated column "plain N" of public."G"',
    why: /comes back as the extension unaccent makes it/,
    cures: [["an own function around it", ALL]],
  },
  {
    what: "an exclusion constraint of an altered extension function",
    sql: `CREATE EXTENSION unaccent; ALTER FUNCTION unaccent(text) IMMUTABLE;
          CREATE TABLE x (n text, CONSTRAINT one_each EXCLUDE USING btree (unaccent(n) WITH =)); INSERT INTO x VALUES ('é');`,
    object: "the index public.one_each of public.x",
    why: /comes back as the extension unaccent makes it/,
    cures: [["an own function around it", ALL]],
  },
  {
    what: "an index on an own function that was altered to be STABLE",
    sql: `CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN i; END';
          CREATE TABLE a (i int); INSERT INTO a VALUES (1); CREATE INDEX ai ON a (f(i)); ALTER FUNCTION f(int) STABLE;`,
    object: "the index public.ai of public.a",
    why: /^public\.f\(integer\) was altered to be not IMMUTABLE/,
    cures: [["IMMUTABLE again", ALL]],
  },
  {
    what: "a materialized view of a query that is a text without a schema",
    sql: `CREATE TABLE t23 (v tsvector); INSERT INTO t23 VALUES ('a b');
          CREATE MATERIALIZED VIEW mv23 AS SELECT word FROM ts_stat('SELECT v FROM t23'); CREATE UNIQUE INDEX words ON mv23 (word);`,
    object: "the materialized view public.mv23",
    why: /^it names the relation t23 without its schema/,
    cures: [
      ["the view made again with the schema", /^(BEGIN|COMMIT|DROP|CREATE)/],
      ["the view left empty", /^REFRESH/],
    ],
  },
  {
    what: "a materialized view of a view of a query that is a text without a schema, with a quote in it",
    sql: `CREATE SCHEMA s; CREATE TABLE s.t23 (v tsvector, t text); INSERT INTO s.t23 VALUES ('a b', 'x'); SET search_path = s, public;
          CREATE VIEW s."The words" AS SELECT word FROM ts_stat($$SELECT v FROM t23 WHERE t <> 't23'$$);
          CREATE MATERIALIZED VIEW public.mv23 AS SELECT count(*) FROM s."The words";`,
    object: 'the view s."The words"',
    why: /^it names the relation t23 without its schema/,
    cures: [["the view made again with the schema", ALL]],
  },
  {
    what: "a materialized view whose function names a table without its schema",
    sql: `CREATE TABLE t (i int); INSERT INTO t VALUES (1);
          CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t); END';
          CREATE MATERIALIZED VIEW "m v" AS SELECT f();`,
    object: "the function public.f()",
    why: /^it names the relation t without its schema/,
    cures: [["a search_path of the function's own", ALL]],
  },
  {
    what: "an index on a function that calls one in another schema by its bare name",
    sql: `CREATE SCHEMA "Lib"; SET search_path = public, "Lib";
          CREATE FUNCTION "Lib".g(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i';
          CREATE FUNCTION public.f(i int, VARIADIC j int[] DEFAULT '{}') RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT g(i)';
          CREATE TABLE public.a (i int); INSERT INTO public.a VALUES (1); CREATE INDEX ai ON public.a (public.f(i));`,
    object: "the function public.f(integer,integer[])",
    why: /^it names the function g without its schema/,
    cures: [["a search_path of the function's own", ALL]],
  },
  {
    what: "a generated column of a function that names a type without its schema",
    sql: `CREATE TYPE mood AS ENUM ('fine');
          CREATE FUNCTION f(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (a::mood)::text; END';
          CREATE TABLE t (a text, b text GENERATED ALWAYS AS (f(a)) STORED); INSERT INTO t VALUES ('fine');`,
    object: "the function public.f(text)",
    why: /^it names the type mood without its schema/,
    cures: [["a search_path of the function's own", ALL]],
  },
  {
    what: "an index on a function that names a text search configuration without its schema",
    sql: `CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple);
          CREATE FUNCTION f(a text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$SELECT to_tsvector('mine', a)$$;
          CREATE TABLE t (a text); INSERT INTO t VALUES ('a'); CREATE INDEX i ON t USING gin (f(a));`,
    object: "the function public.f(text)",
    why: /^it names the text search configuration mine without its schema/,
    cures: [["a search_path of the function's own", ALL]],
  },
  {
    what: "an index on a function that uses an operator of an extension",
    sql: `CREATE EXTENSION hstore;
          CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT a::public.hstore -> 'k'$$;
          CREATE TABLE t (a text); INSERT INTO t VALUES ('k=>v'); CREATE INDEX i ON t (f(a));`,
    object: "the function public.f(text)",
    why: /^it names the operator -> without its schema/,
    cures: [["a search_path of the function's own", ALL]],
  },
  {
    what: "a domain whose check calls a function by its bare name",
    sql: `CREATE FUNCTION g(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
          CREATE FUNCTION f(i int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN g(i); END';
          CREATE DOMAIN d AS int CHECK (f(VALUE)); CREATE TABLE a (i d); INSERT INTO a VALUES (1);`,
    object: "the function public.f(integer)",
    why: /^it names the function g without its schema/,
    cures: [["a search_path of the function's own", ALL]],
  },
  {
    what: "a check that looks into another table by its bare name",
    sql: `CREATE TABLE z (ok int); INSERT INTO z VALUES (1);
          CREATE FUNCTION f(i int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM z WHERE ok = i)';
          CREATE TABLE a (i int CHECK (f(i))); INSERT INTO a VALUES (1);`,
    object: "the function public.f(integer)",
    why: /^it names the relation z without its schema/,
    cures: [["its search_path, and the check for new rows only", ALL]],
  },
  {
    what: "a check that looks into another table",
    sql: `CREATE TABLE z25 (ok int); INSERT INTO z25 VALUES (1);
          CREATE FUNCTION f25(i int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM public.z25 WHERE ok = i)';
          CREATE TABLE a25 (i int CHECK (public.f25(i))); INSERT INTO a25 VALUES (1);`,
    object: "the check constraint a25_i_check of public.a25",
    why: /looks at more than the row/,
    cures: [["having it for new rows only", ALL]],
  },
  {
    what: "a check of the time, in a table with partitions and one of its own",
    sql: `CREATE FUNCTION f(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
          CREATE TABLE p (i int, CONSTRAINT "odd ""name" CHECK (f(i))) PARTITION BY LIST (i);
          CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1), (2);
          CREATE OR REPLACE FUNCTION f(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';`,
    object: 'the check constraint "odd ""name" of public.p',
    why: /looks at more than the row/,
    cures: [["having it for new rows only", ALL]],
  },
  {
    what: "a check that a child has by inheritance and by itself",
    sql: `CREATE FUNCTION f(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
          CREATE TABLE p (i int, CONSTRAINT c CHECK (f(i))); CREATE TABLE k (CONSTRAINT c CHECK (f(i))) INHERITS (p); INSERT INTO k VALUES (1);
          CREATE OR REPLACE FUNCTION f(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';`,
    object: "the check constraint c of public.p",
    why: /looks at more than the row/,
    cures: [["having it for new rows only", ALL]],
  },
  {
    what: "a domain whose check was made stricter by its function",
    sql: `CREATE FUNCTION f(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
          CREATE DOMAIN d AS int CHECK (f(VALUE)); CREATE TABLE a (i d); INSERT INTO a VALUES (1);
          CREATE OR REPLACE FUNCTION f(i int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';`,
    object: "the constraint d_check of the domain public.d",
    why: /looks at more than the value/,
    cures: [["having it for new values only", ALL]],
  },
  {
    what: "a domain that is NOT NULL, and nulls",
    sql: `CREATE DOMAIN d AS int; CREATE TABLE t (i d); INSERT INTO t VALUES (NULL); UPDATE pg_type SET typnotnull = true WHERE typname = 'd';`,
    object: "the domain public.d",
    why: /rows have no value there/,
    cures: [["letting it have none", ALL]],
  },
  {
    what: "a foreign key without what it refers to",
    sql: `CREATE TABLE a24 (id int PRIMARY KEY); CREATE TABLE b24 (a int REFERENCES a24); INSERT INTO a24 VALUES (1);
          SET session_replication_role = replica; INSERT INTO b24 VALUES (1), (7), (7), (8), (NULL);`,
    object: "the foreign key b24_a_fkey of public.b24",
    why: /^rows of public\.b24 refer to rows of public\.a24 that do not exist$/,
    cures: [
      ["removing the rows", /^DELETE/],
      ["adding what they refer to", /^INSERT/],
      ["keeping them", /^ALTER/],
    ],
  },
  {
    what: "a foreign key of two columns with odd names, MATCH FULL, in the schema of two that has the fault",
    sql: `CREATE SCHEMA one; CREATE SCHEMA two;
          CREATE TABLE one.a (i int, j text, PRIMARY KEY (i, j));
          CREATE TABLE one."B b" (x int, "y y" text, CONSTRAINT "f""k" FOREIGN KEY (x, "y y") REFERENCES one.a (i, j));
          CREATE TABLE two.a (i int, j text, PRIMARY KEY (i, j));
          CREATE TABLE two."B b" (x int, "y y" text, CONSTRAINT "f""k" FOREIGN KEY (x, "y y") REFERENCES two.a (i, j) MATCH FULL ON DELETE CASCADE DEFERRABLE);
          SET session_replication_role = replica; INSERT INTO two."B b" SELECT g, E'it''s\\n; DROP TABLE two.a; --' FROM generate_series(1, 10) AS g;`,
    object: 'the foreign key "f""k" of two."B b"',
    why: /^rows of two\."B b" refer to rows of two\.a that do not exist$/,
    cures: [
      ["removing the rows", /^(--|DELETE)/],
      ["adding what they refer to", /^INSERT/],
      ["keeping them", /^ALTER/],
    ],
  },
  {
    what: "a foreign key of a table with partitions",
    sql: `CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int REFERENCES a) PARTITION BY RANGE (i);
          CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (100); SET session_replication_role = replica; INSERT INTO b VALUES (7);`,
    object: "the foreign key b_i_fkey of public.b",
    why: /^rows of public\.b refer/,
    cures: [
      ["removing the rows", /^DELETE/],
      ["adding what they refer to", /^INSERT/],
    ],
  },
  {
    what: "a unique index with keys twice",
    sql: `CREATE TABLE t (id int, s text); CREATE UNIQUE INDEX u ON t (lower(s)) WHERE id > 0; INSERT INTO t VALUES (1, 'A'), (0, 'a'), (0, 'A');
          ${behind("u", "INSERT INTO t VALUES (2, 'a'), (3, 'b'), (4, NULL), (5, NULL)")}`,
    object: "the unique index public.u of public.t",
    why: /same key/,
    cures: [["keeping one of each", ALL]],
  },
  {
    what: "a primary key with keys twice, which other rows refer to and would go with",
    sql: `CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t VALUES (1, 'a'); CREATE TABLE c (t int NOT NULL REFERENCES t ON DELETE CASCADE);
          INSERT INTO c VALUES (1); ${behind("t_pkey", "INSERT INTO t VALUES (1, 'b')")}`,
    object: "the unique index public.t_pkey of public.t",
    why: /same key/,
    cures: [["keeping one of each", /^(?!SELECT)/]],
  },
  {
    what: "rows that an exclusion constraint does not allow together",
    sql: `CREATE TABLE t (r int4range, CONSTRAINT ex EXCLUDE USING gist (r WITH &&)); INSERT INTO t VALUES ('[1,5)');
          ${behind("ex", "INSERT INTO t VALUES ('[2,3)')")}`,
    object: "the exclusion constraint ex of public.t",
    why: /conflict/,
    cures: [["doing without it", ALL]],
  },
  {
    what: "a NOT NULL column with nulls",
    sql: `CREATE TABLE t (i int, j int); INSERT INTO t VALUES (NULL, 1);
          UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 't'::regclass AND attname = 'i';`,
    object: "the column i of public.t",
    why: /^it is NOT NULL, and rows have no value there$/,
    cures: [["letting it have none", /^(SELECT|ALTER)/]],
  },
  {
    what: "a child that may have nulls where its parent may not",
    sql: `CREATE TABLE p (x int NOT NULL); CREATE TABLE c () INHERITS (p); ALTER TABLE c ALTER x DROP NOT NULL; INSERT INTO c VALUES (NULL);`,
    object: "the column x of public.c",
    why: /^rows have no value there; a reload makes it NOT NULL, because public\.p is$/,
    cures: [["letting the parent have none", /^ALTER/]],
  },
  {
    what: "a partition with rows that belong to another one",
    sql: `CREATE TABLE p (i int, j int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (i); CREATE TABLE p1 (j int NOT NULL, i int); INSERT INTO p1 VALUES (1, 50), (2, 5);
          ALTER TABLE p1 ADD CONSTRAINT c CHECK (i IS NOT NULL AND i >= 0 AND i < 10) NOT VALID;
          UPDATE pg_constraint SET convalidated = true WHERE conname = 'c';
          ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10); ALTER TABLE p1 DROP CONSTRAINT c;`,
    object: "the partition public.p1",
    why: /its bounds do not allow/,
    cures: [["moving them", ALL, "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (100);"]],
  },
  {
    what: "a value that fits into its index only as it was compressed once",
    sql: `CREATE TABLE t (s text); CREATE INDEX i ON t (s); INSERT INTO t VALUES (repeat('x', 5000)); ALTER TABLE t ALTER s SET STORAGE EXTERNAL;`,
    object: "the index public.i of public.t",
    why: /too long/,
    cures: [
      ["doing without it", /^DROP/],
      ["another kind of index", /^(DROP|CREATE)/],
    ],
  },
  {
    what: "an event trigger that refuses what a load does",
    sql: `CREATE TABLE t (i int); CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
          CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
          CREATE EVENT TRIGGER "Refuse it" ON ddl_command_start EXECUTE FUNCTION refuse();`,
    object: 'the event trigger "Refuse it"',
    why: /ends with an error while a backup is loaded: not today$/,
    cures: [["switching it off", ALL]],
  },
  {
    what: "a materialized view that reads another one within a function",
    sql: `CREATE TABLE t (i int); CREATE MATERIALIZED VIEW z AS SELECT * FROM t;
          CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM public.z); END';
          CREATE MATERIALIZED VIEW a AS SELECT f();`,
    object: "the materialized view public.a",
    why: /^it is filled before the materialized view z, which it reads within a function$/,
    cures: [["leaving it empty", ALL]],
  },
  {
    what: "a materialized view whose function raises an error",
    sql: `CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$BEGIN IF current_setting('search_path') = '' OR current_setting('search_path') = '""' THEN RAISE 'where am I?'; END IF; RETURN 1; END$$;
          CREATE MATERIALIZED VIEW m AS SELECT f();`,
    object: "the materialized view public.m",
    why: /^it ends with an error while a backup is loaded: where am I\?$/,
    cures: [["leaving it empty", ALL]],
  },
  {
    what: "a check whose function raises an error",
    sql: `CREATE FUNCTION f(i int) RETURNS bool LANGUAGE plpgsql AS $$BEGIN IF current_setting('search_path') = '""' OR current_setting('search_path') = '' THEN RAISE 'where am I?'; END IF; RETURN true; END$$;
          CREATE TABLE t (i int CHECK (f(i))); INSERT INTO t VALUES (1);`,
    object: "the function public.f(integer)",
    why: /^it ends with an error while a backup is loaded: where am I\?$/,
    cures: [["having the check for new rows only", ALL]],
  },
];
