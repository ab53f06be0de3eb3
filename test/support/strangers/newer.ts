import type { StrangerDatabase } from "./database.ts";

/** What the oldest version that the stack runs does not know. */
export const NEWER: readonly StrangerDatabase[] = [
  {
    name: "identity and exclusion on partitions, the right to maintain, and triggers on a login",
    from: 17,
    sql: `
      CREATE EXTENSION btree_gist;
      DO $do$ BEGIN CREATE ROLE nw_maintainer; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;
      CREATE TABLE nw_parts (id int GENERATED ALWAYS AS IDENTITY, day date, slot int4range, EXCLUDE USING gist (day WITH =, slot WITH &&)) PARTITION BY RANGE (day);
      CREATE TABLE nw_part PARTITION OF nw_parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
      INSERT INTO nw_parts (day, slot) VALUES ('2026-01-01', '[1,5)'), ('2026-01-01', '[5,9)');
      CREATE TABLE nw_kept (doc jsonb, at timestamptz DEFAULT '2026-01-01 00:00+00');
      INSERT INTO nw_kept VALUES ('{"lines": [{"n": 1, "of": "a"}, {"n": 2}]}'), (NULL);
      GRANT MAINTAIN ON nw_kept TO nw_maintainer;
      ALTER DEFAULT PRIVILEGES GRANT MAINTAIN ON TABLES TO nw_maintainer;
      CREATE VIEW nw_lines AS SELECT t.* FROM nw_kept, JSON_TABLE(doc, '$.lines[*]' COLUMNS (n int PATH '$.n', of text PATH '$.of' DEFAULT 'none' ON EMPTY)) AS t;
      CREATE VIEW nw_queried AS SELECT JSON_VALUE(doc, '$.lines[0].n' RETURNING int) AS first, JSON_EXISTS(doc, '$.lines'), JSON_SERIALIZE('{}'), JSON_SCALAR(1) FROM nw_kept;
      CREATE FUNCTION nw_quiet() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END';
      CREATE EVENT TRIGGER nw_login ON login EXECUTE FUNCTION nw_quiet();
      CREATE EVENT TRIGGER nw_reindex ON ddl_command_end WHEN TAG IN ('REINDEX') EXECUTE FUNCTION nw_quiet();
      CREATE COLLATION nw_builtin (provider = builtin, locale = 'C.UTF-8');
      CREATE TABLE nw_collated (t text COLLATE nw_builtin PRIMARY KEY);
      INSERT INTO nw_collated VALUES ('b'), ('É');`,
    undo: "DROP ROLE nw_maintainer",
  },
  {
    name: "columns that are made when they are read, constraints that nobody enforces, and keys with a period",
    from: 18,
    sql: `
      CREATE TABLE nx_virtual (a int, b text, twice int GENERATED ALWAYS AS (a * 2), shown text GENERATED ALWAYS AS (b || '!'::varchar) VIRTUAL, kept int GENERATED ALWAYS AS (a + 1) STORED);
      INSERT INTO nx_virtual VALUES (1, 'x'), (2, NULL);
      CREATE TABLE nx_only_virtual (one int GENERATED ALWAYS AS (1));
      INSERT INTO nx_only_virtual DEFAULT VALUES;
      INSERT INTO nx_only_virtual DEFAULT VALUES;
      CREATE TABLE nx_parent (a int CONSTRAINT "a is there" NOT NULL, b int, c int, CONSTRAINT b_here NOT NULL b NO INHERIT);
      CREATE TABLE nx_child (c int CONSTRAINT own_c NOT NULL) INHERITS (nx_parent);
      INSERT INTO nx_parent VALUES (1, 2, NULL); INSERT INTO nx_child VALUES (1, NULL, 3);
      CREATE TABLE nx_late (a int, b int);
      INSERT INTO nx_late VALUES (NULL, -1);
      ALTER TABLE nx_late ADD CONSTRAINT not_yet NOT NULL a NOT VALID;
      ALTER TABLE nx_late ADD CONSTRAINT wished CHECK (b > 0) NOT ENFORCED;
      CREATE TABLE nx_key (id int PRIMARY KEY);
      CREATE TABLE nx_points (id int REFERENCES nx_key NOT ENFORCED);
      INSERT INTO nx_points VALUES (99);
      CREATE TABLE nx_rooms (id int, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
      CREATE TABLE nx_stays (room int, during daterange, UNIQUE (room, during WITHOUT OVERLAPS), FOREIGN KEY (room, PERIOD during) REFERENCES nx_rooms (id, PERIOD valid));
      INSERT INTO nx_rooms VALUES (1, '[2026-01-01,2026-06-01)'), (1, '[2026-06-01,2027-01-01)');
      INSERT INTO nx_stays VALUES (1, '[2026-05-01,2026-07-01)');
      CREATE TABLE nx_ids (id uuid DEFAULT uuidv7(), t text CHECK (casefold(t) = t));
      INSERT INTO nx_ids VALUES ('0198f3c0-0000-7000-8000-000000000000', 'a');
      CREATE PUBLICATION nx_generated FOR TABLE nx_virtual WITH (publish_generated_columns = stored);
      ALTER DEFAULT PRIVILEGES GRANT SELECT ON LARGE OBJECTS TO PUBLIC;
      CREATE FUNCTION nx_changed() RETURNS int LANGUAGE sql BEGIN ATOMIC UPDATE nx_key SET id = id WHERE id = 0 RETURNING old.id + new.id; END;`,
  },
];
