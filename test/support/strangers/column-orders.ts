import type { StrangerDatabase } from "./database.ts";

/** Columns whose order or numbers differ after a reload. */
export const COLUMN_ORDERS: readonly StrangerDatabase[] = [
  {
    name: "a column that the parent got after its child was there",
    sql: `
      CREATE TABLE p (a int, b int);
      CREATE TABLE c (x int) INHERITS (p);
      INSERT INTO c VALUES (1, 2, 3);
      ALTER TABLE p ADD d int;`,
  },
  {
    name: "children of several parents, with columns in common",
    sql: `
      CREATE TABLE mi_a (id int, shared text, a int DEFAULT 1);
      CREATE TABLE mi_b (shared text, b int, id int);
      CREATE TABLE mi_c (own int, shared text) INHERITS (mi_b, mi_a);
      CREATE TABLE mi_d (b int, late text DEFAULT 'd') INHERITS (mi_c);
      INSERT INTO mi_c SELECT 'shared ' || n, n, -n, n * 2, n * 3 FROM generate_series(1, 30) n;
      INSERT INTO mi_d VALUES ('s', 1, 2, 3, 4, 'late');
      ALTER TABLE mi_a ADD added date DEFAULT '2026-01-01';
      ALTER TABLE mi_b ADD added date, ADD other int DEFAULT 9;`,
  },
  {
    name: "a table that became a child although its columns lie in another order",
    sql: `
      CREATE TABLE ti_parent (a int, b text, c date);
      CREATE TABLE ti_child (c date, extra int, b text, a int);
      INSERT INTO ti_child SELECT '2026-01-01', n, 'b' || n, -n FROM generate_series(1, 30) n;
      ALTER TABLE ti_child INHERIT ti_parent;
      CREATE TABLE ti_left (z int) INHERITS (ti_parent);
      INSERT INTO ti_left VALUES (1, 'x', NULL, 2);
      ALTER TABLE ti_left NO INHERIT ti_parent;`,
  },
  {
    name: "three generations, altered in every one of them",
    sql: `
      CREATE TABLE g1 (a int);
      CREATE TABLE g2 (b int) INHERITS (g1);
      CREATE TABLE g3 (c int) INHERITS (g2);
      INSERT INTO g3 VALUES (1, 2, 3);
      ALTER TABLE g1 ADD a2 text DEFAULT 'a2';
      ALTER TABLE g2 ADD b2 text;
      ALTER TABLE g3 ADD c2 text DEFAULT 'c2';
      ALTER TABLE g2 DROP b;
      ALTER TABLE g1 DROP a;
      ALTER TABLE g1 ADD a int DEFAULT 7;
      INSERT INTO g3 (c, a, c2) VALUES (4, 5, 'six');
      INSERT INTO g2 (b2) VALUES ('b');`,
  },
  {
    name: "partitions attached with their columns in other orders",
    sql: `
      CREATE TABLE po (id int NOT NULL, day date NOT NULL, note text, amount numeric(9,2) DEFAULT 0, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE TABLE po_1 (amount numeric(9,2), note text, day date NOT NULL, id int NOT NULL);
      CREATE TABLE po_2 (gone int, note text, also_gone text, id int NOT NULL, amount numeric(9,2) DEFAULT 5, day date NOT NULL);
      INSERT INTO po_1 SELECT n, 'one ' || n, '2025-03-01', n FROM generate_series(1, 40) n;
      INSERT INTO po_2 SELECT 1, 'two ' || n, 'x', n, n, '2026-03-01' FROM generate_series(1, 40) n;
      ALTER TABLE po_2 DROP gone, DROP also_gone;
      ALTER TABLE po ATTACH PARTITION po_1 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
      ALTER TABLE po ATTACH PARTITION po_2 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
      ALTER TABLE po ADD late text DEFAULT 'late';
      INSERT INTO po VALUES (900, '2025-05-05', 'through the parent', 1), (901, '2026-05-05', 'through the parent', 2);
      CREATE INDEX ON po (note);`,
  },
  {
    name: "partitions of partitions in other orders, and one that was detached",
    sql: `
      CREATE TABLE pp (a int, b int, c text) PARTITION BY LIST (a);
      CREATE TABLE pp_1 (c text, b int, a int) PARTITION BY RANGE (b);
      CREATE TABLE pp_1_1 (b int, c text, a int);
      INSERT INTO pp_1_1 SELECT n, 'c' || n, 1 FROM generate_series(1, 9) n;
      ALTER TABLE pp_1 ATTACH PARTITION pp_1_1 FOR VALUES FROM (0) TO (10);
      ALTER TABLE pp ATTACH PARTITION pp_1 FOR VALUES IN (1, 2);
      CREATE TABLE pp_2 PARTITION OF pp FOR VALUES IN (3);
      INSERT INTO pp VALUES (3, 1, 'three'), (2, 5, 'two');
      ALTER TABLE pp DETACH PARTITION pp_2;
      ALTER TABLE pp DROP c;
      ALTER TABLE pp ADD d text DEFAULT 'd';`,
  },
  {
    name: "columns dropped at the start, in the midst and at the end",
    sql: `
      CREATE TABLE dc (first int, a int, second text, b text NOT NULL, third date, c numeric, last text);
      INSERT INTO dc SELECT n, n, 'second', 'b' || n, '2026-01-01', n / 7.0, 'last' FROM generate_series(1, 50) n;
      ALTER TABLE dc DROP first, DROP second, DROP third, DROP last;
      INSERT INTO dc VALUES (100, 'after', 1);
      CREATE INDEX ON dc (b, (c + a));
      ALTER TABLE dc ADD CHECK (a > 0 AND b <> ''), ADD PRIMARY KEY (b);
      CREATE VIEW dc_view AS SELECT * FROM dc;
      GRANT SELECT (a, c) ON dc TO pg_monitor;
      COMMENT ON COLUMN dc.c IS 'was the sixth';`,
  },
  {
    name: "a table that lost all of its columns and kept its rows",
    sql: `
      CREATE TABLE all_gone (a int, b text);
      INSERT INTO all_gone SELECT n, 'x' FROM generate_series(1, 25) n;
      ALTER TABLE all_gone DROP a, DROP b;
      CREATE TABLE most_gone (a int, b text, c text);
      INSERT INTO most_gone VALUES (1, 'x', 'y'), (2, NULL, NULL);
      ALTER TABLE most_gone DROP a, DROP c;`,
  },
  {
    name: "columns whose type was changed, some more than once",
    sql: `
      CREATE TABLE ct (a int, b varchar(5), c text, d timestamp, e char(4), f int[]);
      INSERT INTO ct SELECT n, 'b' || n, n::text, timestamp '2026-01-01' + n * interval '1 hour', 'e', ARRAY[n, NULL] FROM generate_series(1, 40) n;
      ALTER TABLE ct ALTER a TYPE bigint, ALTER b TYPE text, ALTER c TYPE int USING c::int;
      ALTER TABLE ct ALTER a TYPE numeric(10,2), ALTER c TYPE varchar(9) USING 'c' || c, ALTER d TYPE timestamptz, ALTER e TYPE text, ALTER f TYPE text[];
      INSERT INTO ct VALUES (1.5, 'long enough', 'c', 'infinity', 'longer', '{x}');`,
  },
  {
    name: "columns added with a default that no row was rewritten for",
    sql: `
      CREATE TABLE fast_default (id int);
      INSERT INTO fast_default SELECT generate_series(1, 60);
      ALTER TABLE fast_default ADD a text DEFAULT 'the same for all', ADD b int NOT NULL DEFAULT 7, ADD c text[] DEFAULT '{x,y}', ADD d timestamptz DEFAULT '2026-01-01 00:00+00';
      ALTER TABLE fast_default ALTER a SET DEFAULT 'another', ALTER b DROP DEFAULT;
      ALTER TABLE fast_default DROP c;
      INSERT INTO fast_default (id, b) VALUES (61, 8);`,
  },
  {
    name: "tables of a composite type that was altered",
    sql: `
      CREATE TYPE shape AS (a int, b text, c date);
      CREATE TABLE shaped OF shape (a PRIMARY KEY, b WITH OPTIONS DEFAULT 'b');
      INSERT INTO shaped VALUES (1, 'x', '2026-01-01');
      ALTER TYPE shape DROP ATTRIBUTE b CASCADE;
      ALTER TYPE shape ADD ATTRIBUTE d int CASCADE;
      INSERT INTO shaped VALUES (2, NULL, 5);
      CREATE TYPE part AS (n int, gone text, s varchar(9));
      CREATE TABLE of_parts (p part, ps part[]);
      ALTER TYPE part DROP ATTRIBUTE gone;
      INSERT INTO of_parts VALUES (ROW(1, 'x'), ARRAY[ROW(2, NULL)::part, NULL]);`,
  },
  {
    name: "children with defaults, checks and generated columns of their own",
    sql: `
      CREATE TABLE od (id int DEFAULT 1, n int, g int GENERATED ALWAYS AS (n * 2) STORED, s varchar(9) DEFAULT 'parent' CHECK (s IN ('parent', 'child')));
      CREATE TABLE od_child (own int, CHECK (n BETWEEN 1 AND 99)) INHERITS (od);
      ALTER TABLE od_child ALTER id SET DEFAULT 2, ALTER s SET DEFAULT 'child', ALTER id SET NOT NULL;
      CREATE TABLE od_plain (id int, extra text, g int GENERATED ALWAYS AS (n * 3) STORED, n int, s varchar(9) CHECK (s IN ('parent', 'child')));
      ALTER TABLE od ADD CONSTRAINT only_here CHECK (id < 9) NO INHERIT;
      INSERT INTO od (n) VALUES (4);
      INSERT INTO od_child (n) VALUES (5), (6);
      INSERT INTO od_plain (id, n) VALUES (50, 7);`,
  },
  {
    name: "a table like another, and keys that point at columns behind dropped ones",
    sql: `
      CREATE TABLE lk (gone int, id int GENERATED ALWAYS AS IDENTITY, also_gone int, code varchar(9) UNIQUE, g text GENERATED ALWAYS AS (code || '!') STORED);
      ALTER TABLE lk DROP gone, DROP also_gone;
      ALTER TABLE lk ADD PRIMARY KEY (id);
      COMMENT ON COLUMN lk.code IS 'a code';
      CREATE TABLE lk_copy (before text, LIKE lk INCLUDING ALL, behind text);
      CREATE TABLE lk_user (gone int, code varchar(9), id int, FOREIGN KEY (id) REFERENCES lk, FOREIGN KEY (code) REFERENCES lk (code) ON DELETE SET NULL (code));
      ALTER TABLE lk_user DROP gone;
      INSERT INTO lk (code) VALUES ('a'), ('b');
      INSERT INTO lk_copy (before, code, behind) VALUES ('x', 'c', 'y');
      INSERT INTO lk_user VALUES ('a', 2), (NULL, 1);`,
  },
  {
    name: "150 columns, of which every second one is gone",
    sql: `
      DO $do$ BEGIN
        EXECUTE 'CREATE TABLE half (' || (SELECT string_agg(format('c%s %s', n, (ARRAY['int', 'text', 'varchar(9)', 'date'])[1 + n % 4]), ', ') FROM generate_series(1, 150) n) || ')';
        EXECUTE 'INSERT INTO half (c4, c9, c149) VALUES (1, ''nine'', ''x''), (2, NULL, NULL)';
        EXECUTE 'ALTER TABLE half ' || (SELECT string_agg(format('DROP c%s', n), ', ') FROM generate_series(2, 150, 2) n WHERE n <> 4);
      END $do$;`,
  },
];
