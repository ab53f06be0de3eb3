import type { StrangerDatabase } from "./database.ts";

/** Objects whose text PostgreSQL writes differently after a reload. */
export const REWRITTEN_TEXT: readonly StrangerDatabase[] = [
  {
    name: "a varchar with a list of allowed values, in a CHECK and in a partial index",
    sql: `
      CREATE TABLE t1 (s varchar(20) CHECK (s IN ('a', 'b')));
      CREATE INDEX t1i ON t1 (s) WHERE s IN ('a', 'b');
      INSERT INTO t1 VALUES ('a'), ('b'), (NULL);`,
  },
  {
    name: "a CHECK with BETWEEN and AND",
    sql: `
      CREATE TABLE t2 (n int, m int, CHECK (n BETWEEN 1 AND 9 AND m > 0));
      INSERT INTO t2 VALUES (1, 2), (9, 1);`,
  },
  {
    name: "CHECKs of texts of every kind",
    sql: `
      CREATE TABLE text_checks (
        a varchar(9) CHECK (a NOT IN ('x', 'y')),
        b char(3) CHECK (b IN ('abc', 'd')),
        c name CHECK (c IN ('n', 'm')),
        d text CHECK (d LIKE 'a%' OR d ILIKE 'B_' OR d ~ '^c' OR d SIMILAR TO '(d|e)+'),
        e varchar CHECK (e = ANY (ARRAY['p', 'q']::varchar[]) OR e <> ALL (ARRAY['r'::varchar, 's'])),
        f varchar(4) CHECK (lower(f) IN ('yes', 'no')),
        g varchar(2)[] CHECK (g <@ ARRAY['a', 'b']::varchar[]),
        h varchar(5) CHECK (CASE h WHEN 'one' THEN true WHEN 'two' THEN true ELSE h IS NULL END),
        i varchar(5) CHECK (coalesce(i, 'none') IN ('none', 'some') AND nullif(i, 'x') IS DISTINCT FROM 'y'),
        j varchar(20) CHECK (char_length(trim(both from j)) > 0 AND position('@' in j) > 1 AND substring(j from 1 for 2) <> '..')
      );
      INSERT INTO text_checks VALUES ('a', 'd', 'n', 'a%', 'p', 'YES', '{a,b}', 'two', NULL, 'a@b');`,
  },
  {
    name: "CHECKs of numbers and times, nested",
    sql: `
      CREATE TABLE number_checks (
        a int, b numeric(8,2), c real, d date, e timestamptz, f interval, g smallint,
        CHECK (a IN (1, 2.5, 3) OR a BETWEEN SYMMETRIC 9 AND 7),
        CHECK (a > 0 AND (b > 0 AND c > 0 OR (a > 1 AND b > 1)) AND NOT (a = b OR b = c)),
        CHECK (d IN ('2025-01-01', '2026-01-01') OR d >= '2020-01-01'::date + 3),
        CHECK (e BETWEEN '2020-01-01 00:00+00' AND '2030-01-01 00:00+00'),
        CHECK (f < '1 day' OR f = ANY ('{2 days,3 days}'::interval[])),
        CHECK (g IN (1, 2, 3) AND g::int % 2 = 1),
        CHECK (b = 1 OR b = 2.50 OR b::text LIKE '3%'),
        CHECK ((a, g) <> (0, 0) AND (a, b) > (0, 0)),
        CHECK (-a < - 0 AND a & 3 = a % 4 AND +b > -1)
      );
      INSERT INTO number_checks VALUES (1, 3.25, 2, '2026-01-01', '2026-01-01', '1 hour', 3);`,
  },
  {
    name: "partial indexes and indexes of expressions",
    sql: `
      CREATE TABLE indexed (a varchar(9), b varchar(9), n int, t timestamp, gone boolean, j jsonb, tags varchar(5)[]);
      CREATE INDEX ON indexed (lower(a), (a || '-' || b) DESC NULLS LAST) WHERE a IN ('x', 'y') AND NOT gone;
      CREATE UNIQUE INDEX ON indexed (coalesce(a, ''), n) INCLUDE (b) WHERE n BETWEEN 1 AND 5 OR b = 'z';
      CREATE INDEX ON indexed ((CASE WHEN a = 'p' THEN 1 ELSE n END), (n + 1), (date_trunc('day', t)));
      CREATE INDEX ON indexed (a varchar_pattern_ops, b COLLATE "C" text_pattern_ops) WITH (fillfactor = 70) WHERE a LIKE 'x%';
      CREATE INDEX ON indexed USING gin ((j -> 'tags'), tags) WHERE j ? 'tags';
      CREATE INDEX ON indexed USING hash ((a::text));
      CREATE INDEX ON indexed USING brin (n, t) WITH (pages_per_range = 4);
      CREATE UNIQUE INDEX ON indexed (a, b) NULLS NOT DISTINCT WHERE gone IS NOT TRUE;
      INSERT INTO indexed SELECT 'x' || n, 'y', n, timestamp '2026-01-01' + n * interval '1 hour', n % 2 = 0, '{"tags": ["a"]}', '{a}'
        FROM generate_series(6, 90) n;`,
  },
  {
    name: "generated columns of varchar, CASE and IN",
    sql: `
      CREATE TABLE generated (
        first varchar(20), last varchar(20), n int, day date,
        whole varchar(50) GENERATED ALWAYS AS (first || ' ' || last) STORED,
        sort text GENERATED ALWAYS AS (CASE WHEN last IN ('a', 'b') THEN upper(last) ELSE coalesce(last, first) END) STORED,
        small boolean GENERATED ALWAYS AS (n BETWEEN 1 AND 9 AND first = 'x') STORED,
        year int GENERATED ALWAYS AS (extract(year from day)) STORED NOT NULL CHECK (year IN (2025, 2026))
      );
      INSERT INTO generated VALUES ('x', 'a', 3, '2025-02-01'), ('y', NULL, 30, '2026-02-01');`,
  },
  {
    name: "domains with conditions of every kind, one on the other",
    sql: `
      CREATE DOMAIN colour AS varchar(10) DEFAULT 'red'::varchar CHECK (VALUE IN ('red', 'green')) CONSTRAINT short CHECK (length(VALUE) < 9);
      CREATE DOMAIN bright AS colour NOT NULL CHECK (VALUE <> 'black' AND VALUE BETWEEN 'a' AND 'z');
      CREATE DOMAIN share AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100 AND VALUE <> 13);
      CREATE DOMAIN shares AS share[] CHECK (array_length(VALUE, 1) IN (1, 2, 3) AND 0 <= ALL (VALUE));
      CREATE TABLE coloured (a colour, b bright, c share DEFAULT 50, d shares DEFAULT ARRAY[1, 2]);
      INSERT INTO coloured VALUES ('green', 'green', 12.5, '{1,2.5}'), (NULL, 'red', DEFAULT, DEFAULT);`,
  },
  {
    name: "row security with conditions of every kind",
    sql: `
      CREATE TABLE guarded (id int, owner varchar(30), state varchar(9));
      CREATE TABLE guards (name varchar(30), grade int);
      ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON guarded FOR SELECT USING (owner = current_user AND state IN ('open', 'new'));
      CREATE POLICY put ON guarded AS RESTRICTIVE FOR INSERT WITH CHECK (state = 'new' OR id BETWEEN 1 AND 9);
      CREATE POLICY seen ON guarded FOR UPDATE USING (EXISTS (SELECT FROM guards g WHERE g.name = owner AND g.grade IN (1, 2)))
        WITH CHECK (owner = current_setting('app.user', true)::varchar);
      INSERT INTO guarded VALUES (1, 'a', 'open'), (2, 'b', 'shut');`,
  },
  {
    name: "rules that do also, instead, nothing, and only sometimes",
    sql: `
      CREATE TABLE ruled (a int, s varchar(9));
      CREATE TABLE ruled_log (at timestamptz DEFAULT '2026-01-01', was varchar(9), is_now varchar(9));
      CREATE VIEW ruled_view AS SELECT a AS x, s AS y FROM ruled WHERE s IN ('a', 'b', 'c');
      CREATE RULE logged AS ON UPDATE TO ruled WHERE new.s <> old.s AND new.s IN ('a', 'b')
        DO ALSO INSERT INTO ruled_log (was, is_now) VALUES (old.s, new.s);
      CREATE RULE put AS ON INSERT TO ruled_view DO INSTEAD (INSERT INTO ruled VALUES (new.x, new.y); NOTIFY ruled);
      CREATE RULE changed AS ON UPDATE TO ruled_view DO INSTEAD UPDATE ruled SET a = new.x, s = upper(new.y) WHERE ruled.a = old.x RETURNING a, s;
      CREATE RULE kept AS ON DELETE TO ruled_view WHERE old.y = 'a' DO INSTEAD NOTHING;
      CREATE RULE removed AS ON DELETE TO ruled_view DO INSTEAD DELETE FROM ruled WHERE a = old.x;
      INSERT INTO ruled_view VALUES (1, 'a'), (2, 'b');
      UPDATE ruled SET s = 'b' WHERE a = 1;`,
  },
  {
    name: "views with UNION, *, JOIN USING and columns that were renamed since",
    sql: `
      CREATE TABLE va (id int PRIMARY KEY, s varchar(9), shared int);
      CREATE TABLE vb (id int, t varchar(9), shared int);
      CREATE VIEW v_star AS SELECT * FROM va;
      CREATE VIEW v_using AS SELECT * FROM va JOIN vb USING (id, shared);
      CREATE VIEW v_merged AS SELECT j.id, va.s FROM (va FULL JOIN vb USING (id)) AS j (id, x, y, z) CROSS JOIN va;
      CREATE VIEW v_natural AS SELECT va.*, vb.t AS s2 FROM va NATURAL LEFT JOIN vb;
      CREATE VIEW v_union AS SELECT id, s FROM va UNION SELECT id, t FROM vb UNION ALL (SELECT 1, 'x' EXCEPT SELECT 2, 'y') ORDER BY 1 DESC LIMIT 5;
      CREATE VIEW v_on_view AS SELECT u.*, s.shared AS more FROM v_using u, v_star s WHERE u.s IN ('a', 'b') AND (u.*) IS NOT NULL;
      ALTER TABLE va RENAME s TO renamed;
      ALTER TABLE va ADD s text;
      ALTER TABLE vb RENAME id TO vb_id;
      ALTER TABLE vb ADD id text;
      ALTER VIEW v_star RENAME COLUMN shared TO other;
      INSERT INTO va VALUES (1, 'a', 2), (2, 'b', 3);
      INSERT INTO vb VALUES (1, 'x', 2);`,
  },
  {
    name: "views with subqueries, windows, grouping sets, recursion and more",
    sql: `
      CREATE TABLE vc (id int PRIMARY KEY, parent int, kind varchar(9), amount numeric(9,2), at timestamptz, tags text[], j jsonb);
      CREATE VIEW vc_sub AS SELECT id, (SELECT max(amount) FROM vc c WHERE c.parent = vc.id) AS most FROM vc
        WHERE kind IN (SELECT kind FROM vc WHERE amount > 1) AND id <> ALL (ARRAY(SELECT parent FROM vc WHERE parent IS NOT NULL)) OR EXISTS (SELECT 1);
      CREATE VIEW vc_window AS SELECT id, sum(amount) OVER w, rank() OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES),
        lag(kind, 1, 'none') OVER (PARTITION BY parent ORDER BY at DESC NULLS LAST) FROM vc WINDOW w AS (PARTITION BY kind ORDER BY id);
      CREATE VIEW vc_groups AS SELECT kind, parent, count(*) FILTER (WHERE amount BETWEEN 1 AND 9), grouping(kind),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), string_agg(DISTINCT kind, ',' ORDER BY kind)
        FROM vc GROUP BY GROUPING SETS ((kind), (parent), ROLLUP (kind, parent)) HAVING count(*) > 0;
      CREATE VIEW vc_tree AS WITH RECURSIVE tree (id, depth) AS (SELECT id, 0 FROM vc WHERE parent IS NULL UNION ALL
        SELECT vc.id, depth + 1 FROM vc JOIN tree ON vc.parent = tree.id) SEARCH DEPTH FIRST BY id SET ord CYCLE id SET looped USING path SELECT id, depth, looped FROM tree;
      CREATE VIEW vc_lateral AS SELECT vc.id, l.*, u.n, f.g FROM vc, LATERAL (SELECT vc.amount * 2 AS twice) l,
        unnest(vc.tags) WITH ORDINALITY AS u (tag, n), generate_series(1, 2) AS f (g) WHERE vc.kind IS DISTINCT FROM 'x';
      CREATE VIEW vc_values AS SELECT * FROM (VALUES (1, 'a'::varchar), (2, 'b')) AS v (n, s) WHERE s IN ('a', 'b');
      CREATE VIEW vc_json AS SELECT j ->> 'a' AS a, j @> '{"b": 1}' AS b, j IS JSON OBJECT AS c, json_object('k': kind) AS d, j['x'] AS e FROM vc;
      CREATE VIEW vc_times AS SELECT at AT TIME ZONE 'UTC' AS a, extract(dow from at) AS b, at::date AS c, at + interval '1 day 2 hours' AS d,
        (at, at) OVERLAPS (at, interval '1 hour') AS e, CAST(amount AS varchar(3)) AS f, tags[1:2] AS g, ROW(id, kind)::text AS h FROM vc;
      CREATE VIEW vc_sample AS SELECT DISTINCT ON (kind) kind, id FROM ONLY vc TABLESAMPLE system (100) REPEATABLE (7) ORDER BY kind, id FETCH FIRST 3 ROWS WITH TIES;
      CREATE VIEW vc_checked WITH (security_barrier, security_invoker) AS SELECT id, kind FROM vc WHERE kind IN ('p', 'q') WITH CASCADED CHECK OPTION;
      INSERT INTO vc SELECT n, nullif(n / 2, 0), 'k' || n % 3, n / 3.0, timestamptz '2026-01-01 00:00+00' + n * interval '1 day', ARRAY['t'], '{"a": 1}'
        FROM generate_series(1, 20) n;`,
  },
  {
    name: "triggers with conditions",
    sql: `
      CREATE TABLE triggered (id int PRIMARY KEY, state varchar(9), n numeric);
      CREATE FUNCTION quietly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END';
      CREATE TRIGGER a BEFORE UPDATE OF state ON triggered FOR EACH ROW WHEN (old.state IN ('a', 'b') AND new.state <> old.state) EXECUTE FUNCTION quietly();
      CREATE TRIGGER b AFTER UPDATE ON triggered FOR EACH ROW WHEN (old.* IS DISTINCT FROM new.*) EXECUTE FUNCTION quietly('one', 'two''s');
      CREATE TRIGGER c AFTER INSERT ON triggered REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION quietly();
      CREATE TRIGGER d BEFORE DELETE ON triggered FOR EACH ROW WHEN (old.n BETWEEN 1 AND 9 OR pg_trigger_depth() = 0) EXECUTE FUNCTION quietly();
      CREATE CONSTRAINT TRIGGER e AFTER INSERT OR UPDATE ON triggered DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.state = 'c') EXECUTE FUNCTION quietly();
      CREATE VIEW triggered_view AS SELECT * FROM triggered;
      CREATE TRIGGER f INSTEAD OF INSERT ON triggered_view FOR EACH ROW EXECUTE FUNCTION quietly();
      INSERT INTO triggered VALUES (1, 'a', 1), (2, 'c', 2);`,
  },
  {
    name: "partitions bounded by expressions, and split by them",
    sql: `
      CREATE TABLE by_day (id int, day date, at timestamptz) PARTITION BY RANGE (day);
      CREATE TABLE by_day_1 PARTITION OF by_day FOR VALUES FROM ('2025-01-01'::date + 1) TO (date '2025-06-01' + 30);
      CREATE TABLE by_day_2 PARTITION OF by_day FOR VALUES FROM (MINVALUE) TO (make_date(2025, 1, 2));
      CREATE TABLE by_day_rest PARTITION OF by_day DEFAULT;
      CREATE TABLE by_kind (kind varchar(9), n bigint) PARTITION BY LIST (kind);
      CREATE TABLE by_kind_1 PARTITION OF by_kind FOR VALUES IN ('a', 'b'::varchar, NULL);
      CREATE TABLE by_kind_2 PARTITION OF by_kind FOR VALUES IN (upper('c')) PARTITION BY HASH (n);
      CREATE TABLE by_kind_2a PARTITION OF by_kind_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE by_kind_2b PARTITION OF by_kind_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE by_expression (a varchar(9), n int) PARTITION BY RANGE (lower(a) COLLATE "C", (n % 10));
      CREATE TABLE by_expression_1 PARTITION OF by_expression FOR VALUES FROM ('a', MINVALUE) TO ('m', 5 + 1);
      CREATE TABLE by_expression_2 PARTITION OF by_expression (CHECK (a IN ('n', 'N'))) FOR VALUES FROM ('m', 6) TO (MAXVALUE, MAXVALUE);
      INSERT INTO by_day SELECT n, date '2024-12-01' + n * 5, now() FROM generate_series(1, 60) n;
      INSERT INTO by_kind SELECT (ARRAY['a', 'b', NULL, 'C'])[1 + n % 4], n FROM generate_series(1, 40) n;
      INSERT INTO by_expression VALUES ('B', 3), ('N', 17);`,
  },
  {
    name: "defaults with casts and functions",
    sql: `
      CREATE SEQUENCE defaults_number;
      CREATE TABLE defaults (
        id bigint DEFAULT nextval('defaults_number') * 2, a varchar(3) DEFAULT 'abc'::varchar(3), b bpchar DEFAULT 'x', c text DEFAULT E'new\\nline\\\\'::text,
        d int DEFAULT -1, e numeric DEFAULT - 1.50, f text[] DEFAULT ARRAY['a', 'b'], g varchar[] DEFAULT '{p,q}', h jsonb DEFAULT '{"a": 1}',
        i timestamptz DEFAULT ((now() - interval '1 day') AT TIME ZONE 'UTC'), j date DEFAULT CURRENT_DATE, k text DEFAULT CURRENT_USER,
        l bit(3) DEFAULT B'101', m bit varying(8) DEFAULT X'1F', n interval DEFAULT '1-2', o boolean DEFAULT 'yes', p oid DEFAULT 'pg_class'::regclass,
        q name DEFAULT 'n', r "char" DEFAULT 'c', s int4range DEFAULT '[1,2]', t point DEFAULT point(1, 2), u bytea DEFAULT '\\x00ff', v real DEFAULT 1e10,
        w inet DEFAULT '10.0.0.1/8', x time DEFAULT LOCALTIME(0), y text DEFAULT coalesce(NULL, 'y'::varchar), z text DEFAULT (CASE WHEN random() < 2 THEN 'z' END)
      );
      INSERT INTO defaults DEFAULT VALUES;
      INSERT INTO defaults (a) VALUES (NULL);`,
  },
  {
    name: "exclusion constraints with expressions and conditions",
    sql: `
      CREATE TABLE booked (room varchar(9), during tsrange, a int, b int, state varchar(9), at box,
        EXCLUDE USING gist (during WITH &&) WHERE (state IN ('held', 'paid')),
        CONSTRAINT no_overlap EXCLUDE USING gist (int4range(a, b, '[]') WITH &&, at WITH ~=) DEFERRABLE INITIALLY DEFERRED,
        EXCLUDE (room WITH =, (a + b) WITH =) WHERE (a BETWEEN 1 AND 5 AND room <> 'hall'),
        EXCLUDE USING hash ((lower(room)) WITH =) WHERE (state = 'new'));
      INSERT INTO booked VALUES ('a', '[2026-01-01,2026-01-02)', 1, 2, 'held', '(1,1),(0,0)'), ('a', '[2026-02-01,2026-02-02)', 3, 4, 'paid', '(2,2),(0,0)');`,
  },
  {
    name: "statistics of expressions",
    sql: `
      CREATE TABLE measured (a varchar(9), b varchar(9), n int);
      CREATE STATISTICS measured_1 ON (lower(a)), (n % 10), b FROM measured;
      CREATE STATISTICS measured_2 (mcv, ndistinct) ON (CASE WHEN a IN ('x', 'y') THEN 1 ELSE 2 END), (a || b) FROM measured;
      CREATE STATISTICS measured_3 ON (coalesce(a, 'none'::varchar)) FROM measured;
      ALTER STATISTICS measured_1 SET STATISTICS 200;
      INSERT INTO measured SELECT 'a' || n, 'b', n FROM generate_series(1, 50) n;
      ANALYZE measured;`,
  },
  {
    name: "functions whose body PostgreSQL writes itself, and defaults of arguments",
    sql: `
      CREATE TABLE atomic_rows (id int PRIMARY KEY, s varchar(9));
      CREATE FUNCTION atomic_query(a int, b varchar DEFAULT 'x'::varchar(3), c date DEFAULT CURRENT_DATE, VARIADIC d int[] DEFAULT ARRAY[1, 2])
        RETURNS TABLE (id int, s varchar) LANGUAGE sql STABLE BEGIN ATOMIC
          SELECT r.* FROM public.atomic_rows r WHERE r.s IN ('a', b) AND r.id BETWEEN a AND 9; END;
      CREATE FUNCTION atomic_return(a varchar) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN a IN ('p', 'q') OR a LIKE 'r%';
      CREATE PROCEDURE atomic_steps(INOUT n int DEFAULT 3) LANGUAGE sql BEGIN ATOMIC
        INSERT INTO public.atomic_rows VALUES (n, 'z'::varchar) ON CONFLICT (id) DO UPDATE SET s = excluded.s WHERE atomic_rows.s <> 'y';
        UPDATE public.atomic_rows SET s = (s || 'x')::varchar(9) WHERE id IN (1, 2) RETURNING id; END;
      CREATE VIEW atomic_view AS SELECT id, public.atomic_return(s) AS good FROM atomic_rows;
      CREATE TABLE atomic_checked (s varchar(9) CHECK (public.atomic_return(s)));
      INSERT INTO atomic_rows VALUES (1, 'a'), (5, 'x');
      INSERT INTO atomic_checked VALUES ('p'), ('rest');`,
  },
  {
    name: "materialized views of lists, and indexes on them",
    sql: `
      CREATE TABLE listed (id int, s varchar(9), n numeric);
      INSERT INTO listed SELECT n, chr(97 + n % 5), n FROM generate_series(1, 50) n;
      CREATE MATERIALIZED VIEW listed_some WITH (fillfactor = 50) AS SELECT s, sum(n) AS total, count(*) FROM listed WHERE s IN ('a', 'b', 'c') GROUP BY s;
      CREATE UNIQUE INDEX ON listed_some (s) WHERE s IN ('a', 'b');
      CREATE INDEX ON listed_some ((total::int % 7));
      CREATE MATERIALIZED VIEW listed_more AS SELECT * FROM listed_some UNION SELECT s, n, 1 FROM listed WHERE n BETWEEN 1 AND 3;`,
  },
  {
    name: "constraints as they are after a column's type, name or default was changed",
    sql: `
      CREATE TABLE altered_checks (a varchar(5) CHECK (a IN ('x', 'y')), b int DEFAULT 1 CHECK (b IN (1, 2)), c text DEFAULT 'p' CHECK (c <> 'q'));
      CREATE INDEX ON altered_checks (a) WHERE a IN ('x', 'y');
      INSERT INTO altered_checks VALUES ('x', 1, 'r');
      ALTER TABLE altered_checks ALTER a TYPE text, ALTER b TYPE numeric, ALTER c TYPE varchar(20);
      ALTER TABLE altered_checks RENAME a TO "the a";
      ALTER TABLE altered_checks ALTER b SET DEFAULT 1::bigint, ADD CHECK (b < 9) NOT VALID, ADD CHECK ("the a" <> c) NO INHERIT;`,
  },
  {
    name: "operators of a schema of one's own, in views, checks and indexes",
    sql: `
      CREATE SCHEMA own;
      CREATE FUNCTION own.same(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN lower(a) = lower(b);
      CREATE OPERATOR own.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = own.same, COMMUTATOR = OPERATOR(own.===));
      CREATE FUNCTION own.negative(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN - n;
      CREATE OPERATOR own.!! (RIGHTARG = int, FUNCTION = own.negative);
      CREATE TABLE own.operated (a varchar(9) CHECK (a OPERATOR(own.===) 'X'), n int CHECK (OPERATOR(own.!!) n < 5 AND n IN (1, 2)));
      CREATE INDEX ON own.operated ((a OPERATOR(own.===) 'x'), (OPERATOR(own.!!) n)) WHERE a OPERATOR(own.===) 'x';
      CREATE VIEW own.operating AS SELECT a OPERATOR(own.===) 'y' AS y, OPERATOR(own.!!) n AS n, n + 1 AS plus FROM own.operated ORDER BY a USING OPERATOR(pg_catalog.~<~);
      INSERT INTO own.operated VALUES ('x', 1);`,
  },
  {
    name: "publications of some rows, and event triggers for some commands",
    sql: `
      CREATE TABLE published (id int PRIMARY KEY, state text, secret text);
      CREATE PUBLICATION some_rows FOR TABLE published (id, state) WHERE (state IN ('a', 'b') AND id BETWEEN 1 AND 9) WITH (publish = 'insert, update');
      CREATE FUNCTION watches() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER watches_some ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION watches();
      INSERT INTO published VALUES (1, 'a', 's');`,
  },
];
