import type { StrangerDatabase } from "./database.ts";

/** Rows whose order or pages differ after a reload. */
export const PHYSICAL_ORDERS: readonly StrangerDatabase[] = [
  {
    name: "rows of different widths",
    sql: `
      CREATE TABLE w AS SELECT g AS id, left(repeat(md5(g::text), 60), (60 + random() * 1800)::int) AS t FROM generate_series(1, 100) AS g;`,
  },
  {
    name: "one wide row after the other narrow one",
    sql: `
      CREATE TABLE mixed (id int, t text);
      INSERT INTO mixed SELECT n, CASE n % 3 WHEN 0 THEN repeat('w', 1900) WHEN 1 THEN 'n' ELSE repeat('m', 700) END FROM generate_series(1, 400) n;`,
  },
  {
    name: "rows updated again and again",
    sql: `
      CREATE TABLE updated (id int PRIMARY KEY, n int DEFAULT 0, t text);
      INSERT INTO updated (id, t) SELECT n, repeat('x', n) FROM generate_series(1, 300) n;
      UPDATE updated SET n = n + 1 WHERE id % 3 = 0;
      UPDATE updated SET t = t || t WHERE id % 5 = 0;
      VACUUM updated;
      UPDATE updated SET n = n + 1 WHERE id % 2 = 0;`,
  },
  {
    name: "rows put into the room that deleted ones left",
    sql: `
      CREATE TABLE refilled (id int, t text);
      INSERT INTO refilled SELECT n, repeat('a', 500) FROM generate_series(1, 400) n;
      DELETE FROM refilled WHERE id % 4 < 2;
      VACUUM refilled;
      INSERT INTO refilled SELECT n, repeat('b', n % 900) FROM generate_series(401, 600) n;
      DELETE FROM refilled WHERE id BETWEEN 100 AND 250;`,
  },
  {
    name: "values too long for their page: outside, compressed, and neither",
    sql: `
      CREATE TABLE toasted (id int, extended text, external text, main text, plain text, b bytea);
      ALTER TABLE toasted ALTER external SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN, ALTER plain SET STORAGE PLAIN, ALTER b SET COMPRESSION pglz;
      INSERT INTO toasted SELECT n, repeat(md5(n::text), n * 90), repeat('e', n * 1000), repeat('m', n * 500), repeat('p', n * 50), decode(repeat(md5(n::text), n * 60), 'hex') FROM generate_series(1, 40) n;
      UPDATE toasted SET id = -id WHERE id % 2 = 0;
      UPDATE toasted SET external = external || 'x' WHERE id % 3 = 0;`,
  },
  {
    name: "a clustered table, and rows added to it since",
    sql: `
      CREATE TABLE clustered (id int PRIMARY KEY, s text);
      CREATE INDEX clustered_s ON clustered (s DESC);
      INSERT INTO clustered SELECT n, md5(n::text) || repeat('x', n % 700) FROM generate_series(1, 300) n;
      CLUSTER clustered USING clustered_s;
      INSERT INTO clustered SELECT n, md5(n::text) FROM generate_series(301, 350) n;`,
  },
  {
    name: "pages left a tenth or nine tenths full",
    sql: `
      CREATE TABLE thin (id int, t text) WITH (fillfactor = 10);
      CREATE TABLE thick (id int, t text) WITH (fillfactor = 90, autovacuum_enabled = false, toast.autovacuum_enabled = false, parallel_workers = 0);
      INSERT INTO thin SELECT n, repeat('t', n % 1500) FROM generate_series(1, 200) n;
      INSERT INTO thick SELECT n, repeat('t', n % 1500) FROM generate_series(1, 200) n;
      UPDATE thin SET id = id + 1000 WHERE id % 2 = 0;`,
  },
  {
    name: "many equal rows, and rows that differ in one byte",
    sql: `
      CREATE TABLE equal (a int, b text);
      INSERT INTO equal SELECT 1, 'same' FROM generate_series(1, 500);
      INSERT INTO equal SELECT 1, 'same' || repeat(' ', n % 3) FROM generate_series(1, 100) n;
      INSERT INTO equal SELECT NULL, CASE WHEN n % 2 = 0 THEN '' END FROM generate_series(1, 100) n;
      UPDATE equal SET b = b WHERE a IS NULL;`,
  },
  {
    name: "rows of transactions that ended, and of ones that were given up",
    sql: `
      CREATE TABLE interleaved (id int, t text);
      BEGIN; INSERT INTO interleaved SELECT n, repeat('k', n * 5) FROM generate_series(1, 100) n; COMMIT;
      BEGIN; INSERT INTO interleaved SELECT n, repeat('g', 900) FROM generate_series(1, 100) n; ROLLBACK;
      BEGIN; SAVEPOINT s; INSERT INTO interleaved SELECT n, 'gone' FROM generate_series(1, 50) n; ROLLBACK TO s;
      INSERT INTO interleaved SELECT -n, repeat('k', n * 7) FROM generate_series(1, 100) n; COMMIT;
      SELECT id FROM interleaved WHERE id % 9 = 0 FOR UPDATE;`,
  },
  {
    name: "rows that an update moved from partition to partition",
    sql: `
      CREATE TABLE moved (k int, t text) PARTITION BY LIST (k);
      CREATE TABLE moved_1 PARTITION OF moved FOR VALUES IN (1) WITH (fillfactor = 40);
      CREATE TABLE moved_2 PARTITION OF moved FOR VALUES IN (2);
      INSERT INTO moved SELECT 1 + n % 2, repeat('x', n * 9) FROM generate_series(1, 200) n;
      UPDATE moved SET k = 3 - k WHERE length(t) % 5 = 0;`,
  },
  {
    name: "materialized views refreshed while their rows were read",
    sql: `
      CREATE TABLE refreshed_from (id int PRIMARY KEY, t text);
      INSERT INTO refreshed_from SELECT n, repeat('x', n * 7) FROM generate_series(1, 200) n;
      CREATE MATERIALIZED VIEW refreshed AS SELECT id, t FROM refreshed_from;
      CREATE UNIQUE INDEX ON refreshed (id);
      UPDATE refreshed_from SET t = 'short' WHERE id % 2 = 0;
      DELETE FROM refreshed_from WHERE id % 7 = 0;
      REFRESH MATERIALIZED VIEW CONCURRENTLY refreshed;`,
  },
  {
    name: "a table rewritten by a change of its type, then by VACUUM FULL",
    sql: `
      CREATE TABLE rewritten (id int, n int, t text);
      INSERT INTO rewritten SELECT n, n, repeat('x', n * 11 % 1700) FROM generate_series(1, 250) n;
      DELETE FROM rewritten WHERE id % 3 = 0;
      ALTER TABLE rewritten ALTER n TYPE bigint;
      UPDATE rewritten SET n = -n WHERE id % 5 = 0;
      VACUUM (FULL, ANALYZE) rewritten;
      UPDATE rewritten SET t = t || 'y' WHERE id % 4 = 0;`,
  },
  {
    name: "rows without a column, and rows with nothing but NULL",
    sql: `
      CREATE TABLE nothing_in_it ();
      INSERT INTO nothing_in_it SELECT FROM generate_series(1, 300);
      DELETE FROM nothing_in_it WHERE ctid IN (SELECT ctid FROM nothing_in_it LIMIT 50);
      CREATE TABLE only_nulls (a int, b text, c date);
      INSERT INTO only_nulls SELECT FROM generate_series(1, 300);`,
  },
  {
    name: "a queue: rows taken out in front while others come in behind",
    sql: `
      CREATE TABLE queue (id bigint GENERATED ALWAYS AS IDENTITY, payload text);
      DO $do$ BEGIN
        FOR round IN 1..8 LOOP
          INSERT INTO queue (payload) SELECT repeat(chr(96 + round), 40 * n) FROM generate_series(1, 40) n;
          DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT 25);
        END LOOP;
      END $do$;
      VACUUM queue;
      INSERT INTO queue (payload) SELECT repeat('z', 30 * n) FROM generate_series(1, 60) n;`,
  },
];
