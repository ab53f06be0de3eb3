import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("backing up and restoring a household's ledger", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  const query = (text: string, database = "budgie_dev") => queryIn(postgres, database, text);

  beforeAll(async () => {
    postgres = await startPostgres();
    await query("CREATE DATABASE budgie_dev", "postgres");
    await query(`
      CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE NOT NULL, photo bytea);
      CREATE TABLE entries (user_id int REFERENCES users, amount numeric(14,2), note text, ratio float8, at timestamptz DEFAULT now());
      CREATE TABLE nothing_yet (id int);
      CREATE TABLE "odd (name)" ("a ""b""" text);
      CREATE VIEW totals AS SELECT user_id, sum(amount) FROM entries GROUP BY 1;
      CREATE MATERIALIZED VIEW cached AS SELECT count(*) FROM users;
      CREATE FUNCTION tricky() RETURNS text LANGUAGE sql AS $$ SELECT '
COPY public.users (id) FROM stdin;
' $$;
      COMMENT ON TABLE users IS 'who
\\.
they are';
      INSERT INTO users (email, photo) SELECT 'user' || n || '@example.com', decode(md5(n::text), 'hex') FROM generate_series(1, 500) n;
      INSERT INTO entries (user_id, amount, note, ratio) SELECT 1 + n % 500, n / 100.0, E'tab\\t newline\\n backslash\\\\ \\\\. end', random() FROM generate_series(1, 20000) n;
      INSERT INTO "odd (name)" VALUES (NULL), (''), ('\\.');
      DELETE FROM users WHERE id = 500 AND false;
      ALTER DATABASE budgie_dev SET search_path TO "$user", public;
      ALTER DATABASE budgie_dev SET statement_timeout TO '7min';
      ALTER DATABASE budgie_dev SET timezone TO 'Europe/Berlin';
      ALTER DATABASE budgie_dev SET bytea_output TO escape;
      COMMENT ON DATABASE budgie_dev IS 'the family''s';
      REVOKE CONNECT ON DATABASE budgie_dev FROM PUBLIC;
    `);
    agent = await startAgent(postgres, { database: "budgie_dev" });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("prints the lines that Budgie's operators know", async () => {
    const { code, stdout } = await agent.run(["backup"]);
    expect(code).toBe(EXIT.done);
    expect(stdout).toMatch(
      /^\[i\] Creating database backup\.\.\.\n\[i\] Backup file: \.\/backups\/budgie_\d{8}_\d{6}\.sql\n\[✓\] Backup created successfully! \(Size: [\d.]+[BKM]\)\n\[i\] Total backups: \d+\n$/,
    );
  });

  it("writes a file that only its owner can read, with a manifest of every table", async () => {
    const manifest = await takeBackup(agent);
    const { mode } = await stat(join(agent.directory, manifest.file));
    expect((mode & 0o777).toString(8)).toBe("600");
    const rows = Object.fromEntries(
      manifest.tables.map((t: { name: string; rows: number }) => [t.name, t.rows]),
    );
    expect(rows).toEqual({
      "public.users": 500,
      "public.entries": 20000,
      "public.nothing_yet": 0,
      'public."odd (name)"': 3,
    });
    expect(await readdir(agent.directory)).not.toContainEqual(expect.stringContaining("partial"));
  });

  it.each(["sql", "sql.gz"])("brings back exactly what was there from a %s backup", async format => {
    const { file } = await takeBackup(agent, "--format", format);
    const before = await query("SELECT md5(string_agg(e::text, ',' ORDER BY e::text)) FROM entries e");
    await query(
      "DELETE FROM entries WHERE user_id = 7; UPDATE users SET email = 'x' || id; CREATE TABLE later (id int)",
    );

    const { code, stdout, stderr } = await agent.run(["restore", file]);

    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain("Tables: 4, rows: 20503");
    expect(await query("SELECT md5(string_agg(e::text, ',' ORDER BY e::text)) FROM entries e")).toEqual(
      before,
    );
    expect(await query("SELECT to_regclass('later') AS later")).toEqual([{ later: null }]);
    expect(await query("INSERT INTO users (email) VALUES ('next') RETURNING id > 500 AS fresh")).toEqual([
      { fresh: true },
    ]);
    await query("DELETE FROM users WHERE email = 'next'");
  });

  it("keeps the database's own settings, grants and comment across a restore", async () => {
    const properties = `
      SELECT datacl::text, shobj_description(oid, 'pg_database') AS comment, pg_get_userbyid(datdba) AS owner, datcollate,
             (SELECT array_agg(setting ORDER BY setting) FROM pg_db_role_setting s, unnest(setconfig) setting WHERE setdatabase = d.oid) AS settings
        FROM pg_database d WHERE datname = 'budgie_dev'`;
    const before = await query(properties);
    const { file } = await takeBackup(agent);
    expect((await agent.run(["restore", file])).code).toBe(EXIT.done);
    expect(await query(properties)).toEqual(before);
  });

  it("sets the old database aside and swaps it back with --undo", async () => {
    const { file } = await takeBackup(agent);
    await query("CREATE TABLE made_after_the_backup (id int)");
    expect((await agent.run(["restore", file])).code).toBe(EXIT.done);
    expect(await query("SELECT to_regclass('made_after_the_backup') AS t")).toEqual([{ t: null }]);

    const { code, stdout } = await agent.run(["restore", "--undo"]);

    expect(code).toBe(EXIT.done);
    expect(stdout).toContain("is budgie_dev again");
    expect(await query("SELECT to_regclass('made_after_the_backup') IS NOT NULL AS back")).toEqual([
      { back: true },
    ]);
    await query("DROP TABLE made_after_the_backup");
  });

  it("has the planner's statistics of a restored database at once", async () => {
    const { file } = await takeBackup(agent);
    expect((await agent.run(["restore", file])).code).toBe(EXIT.done);
    const known = await query(
      "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public' ORDER BY 1",
    );
    expect(known.map(({ tablename }) => tablename)).toEqual(expect.arrayContaining(["entries", "users"]));
  });

  it("does not wait for statistics that take longer than the comparison", async () => {
    await query(`
      CREATE FUNCTION slow_to_analyze(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('application_name') = 'budgie analyze' THEN PERFORM pg_sleep(3600); END IF;
        RETURN n;
      END $$;
      CREATE TABLE slow AS SELECT 1 AS n;
      CREATE INDEX ON slow (slow_to_analyze(n))`);
    const { file } = await takeBackup(agent);
    const { code, stderr } = await agent.run(["restore", file]);
    expect(code, stderr).toBe(EXIT.done);
    expect(await query("SELECT n FROM slow")).toEqual([{ n: 1 }]);
    await query("DROP TABLE slow; DROP FUNCTION slow_to_analyze");
  });

  it("restores from standard input", async () => {
    const { file } = await takeBackup(agent);
    await query("DELETE FROM entries");
    const { code, stderr } = await agent.run(["restore", "-"], await readFile(join(agent.directory, file)));
    expect(code, stderr).toBe(EXIT.done);
    expect(await query("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 20000 }]);
    expect((await readdir(agent.directory)).filter(name => name.startsWith(".incoming"))).toEqual([]);
  });

  it("restores a backup that was compressed by hand since", async () => {
    const { file } = await takeBackup(agent);
    await agent.exec(["gzip", `/backups/${file}`]);
    const verified = await agent.run(["verify", `${file}.gz`]);
    expect(verified.code, verified.stderr).toBe(EXIT.done);
    expect((await agent.run(["restore", `${file}.gz`])).code).toBe(EXIT.done);
  });

  it("does not let a second operation start, and says who is at work", async () => {
    const client = new pg.Client({
      connectionString: postgres.url("postgres"),
      application_name: "budgie backup (scheduled) since noon",
    });
    await client.connect();
    await client.query("SELECT pg_advisory_lock(1651860583, 2)");
    const { code, stderr } = await agent.run(["backup"]);
    await client.end();
    expect(code).toBe(EXIT.busy);
    expect(stderr).toContain("budgie backup (scheduled) since noon");
  });

  it("says that all is well, and says so no longer when the last backup failed", async () => {
    await takeBackup(agent);
    await agent.exec([
      "sh",
      "-c",
      `cd /backups && for f in budgie_???????????????.sql *.sql.gz; do [ -e $(basename $f .sql).json ] || [ -e $(basename $f .sql.gz).json ] || rm $f; done`,
    ]);
    const fine = await agent.run(["status"]);
    expect(fine.code, fine.stdout).toBe(EXIT.done);
    expect(fine.stdout).toContain("Everything is as it should be");

    await writeFile(
      join(agent.directory, ".last-backup-test.json"),
      JSON.stringify({
        operation: "backup",
        startedAt: new Date().toISOString(),
        finishedAt: new Date().toISOString(),
        outcome: "failed",
        message: "the disk was full",
      }),
    );
    const red = await agent.run(["status"]);
    expect(red.code).toBe(EXIT.notFine);
    expect(red.stdout).toContain("The last backup failed: the disk was full");
  });
});
