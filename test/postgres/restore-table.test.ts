import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { TablesCopied } from "../../agent/restore/restore-tables.ts";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { LIVE } from "../support/database/live.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const LEDGER = `
  CREATE TYPE mood AS ENUM ('fine', 'NULL', 'a "b", c');
  CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
  CREATE TYPE place AS (street text, number int);
  CREATE SCHEMA "Odd schema";
  CREATE TABLE users (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(40) UNIQUE NOT NULL, shown text GENERATED ALWAYS AS (upper(email)) STORED,
    mood mood DEFAULT 'fine', moods mood[], owes cents, owed cents[], home place, joined timestamptz DEFAULT now(), of regclass, note text);
  INSERT INTO users (email, mood, moods, owes, owed, home, of, note)
    SELECT 'user' || n || '@example.com', 'a "b", c', '{fine,"NULL",NULL}', n, ARRAY[n, n + 1]::cents[], ROW('way, "long"', n)::place, 'users'::regclass,
           E'a\\\\b\\tc\\nd' || repeat(md5(n::text), n % 60)
      FROM generate_series(1, 300) n;
  CREATE TABLE notes (user_id int REFERENCES users, body text);
  INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 20) n;
  CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TRIGGER stamp BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();
  CREATE TABLE moves (at date, amount int) PARTITION BY RANGE (at);
  CREATE TABLE moves_2025 PARTITION OF moves FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE moves_2026 (amount int, at date);
  ALTER TABLE moves ATTACH PARTITION moves_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO moves SELECT date '2025-06-01' + n, n FROM generate_series(1, 400) n;
  CREATE TABLE "Odd schema"."Odd ""name""" ("a column" int, "select" text);
  INSERT INTO "Odd schema"."Odd ""name""" VALUES (1, 'x');
  CREATE TABLE "Odd schema".notes (id int);
  CREATE TABLE nothing ();
  INSERT INTO nothing DEFAULT VALUES;
  CREATE TABLE empty (id int PRIMARY KEY);
  CREATE VIEW everybody AS SELECT email FROM users;`;

describe("single tables out of a backup", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let file: string;
  let schema: string;

  const query = (text: string, database = LIVE) => queryIn(postgres, database, text);
  const copied = async (...args: string[]): Promise<TablesCopied> => {
    const { code, stdout, stderr } = await agent.run(["restore", ...args, "--json"]);
    expect(code, stderr).toBe(EXIT.done);
    return JSON.parse(stdout);
  };
  const schemas = async () =>
    (await query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^restored' ORDER BY 1")).map(
      ({ nspname }) => nspname,
    );
  const rowsOf = (columns: string, table: string) =>
    query(
      `SELECT md5(string_agg(ROW(${columns})::text, ',' ORDER BY ROW(${columns})::text)) AS rows FROM ${table}`,
    );
  /** Everything of the live database but the copies: rows, objects, grants. */
  const untouched = async () => {
    const { stdout, code, stderr } = await agent.exec([
      "sh",
      "-c",
      `pg_dump -h $PGHOST -U $PGUSER --restrict-key=k --exclude-schema='restored_*' ${LIVE} | md5sum`,
    ]);
    expect(code, stderr).toBe(0);
    return stdout;
  };

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    await query(LEDGER);
    agent = await startAgent(postgres, { database: LIVE });
    file = (await takeBackup(agent)).file;
    schema = file.replace("budgie_", "restored_").replace(".sql", "");
  });

  afterEach(async () => {
    for (const name of await schemas()) await query(`DROP SCHEMA ${name} CASCADE`);
    expect((await query("SELECT datname FROM pg_database WHERE datname ~ 'candidate'")).length).toBe(0);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("come into a schema beside, row for row, and nothing that is there is touched", async () => {
    const users = "id, email, mood::text, moods::text, owes, owed::text, home::text, joined, note";
    const was = await rowsOf(users, "users");
    await query(
      "DELETE FROM notes WHERE user_id > 2; DELETE FROM users WHERE id > 100; UPDATE users SET note = 'new'",
    );
    const before = await untouched();
    const { code, stdout, stderr } = await agent.run(["restore", file, "--table", "users"]);
    expect(code, stderr).toBe(EXIT.done);
    expect(await untouched()).toBe(before);
    expect(await schemas()).toEqual([schema]);
    expect(await rowsOf(users.replaceAll("::text", ""), `${schema}.users`)).toEqual(was);
    expect(await query(`SELECT DISTINCT of FROM ${schema}.users`)).toEqual([{ of: "public.users" }]);
    expect(
      await query(`SELECT tableowner, (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = schemaname) AS owner
                     FROM pg_tables WHERE schemaname = '${schema}'`),
    ).toEqual([{ tableowner: "budgie_user", owner: "budgie_user" }]);
    expect(stdout).toContain(`public.users of ${file} is there as ${schema}.users. Rows: 300`);
    expect(stdout).toContain(
      "Left out of the copy: the primary key, 1 unique constraint, NOT NULL, 1 trigger, the defaults of mood, joined, the identity of id, the generated shown, the types of mood, moods, owes, owed, home, of",
    );
    expect(stdout).toContain(`DROP SCHEMA ${schema} CASCADE;`);
  });

  it("go back with the line that is printed: what is there stays, what was lost is there again", async () => {
    const { tables } = await copied(file, "--table", "users", "--table", "public.notes");
    const [users] = tables;
    await query(users?.take ?? "");
    expect(
      await query("SELECT count(*)::int AS n, count(*) FILTER (WHERE note = 'new')::int AS kept FROM users"),
    ).toEqual([{ n: 300, kept: 100 }]);
    expect(
      await query("SELECT mood::text, moods::text, home::text, shown FROM users WHERE id = 200"),
    ).toEqual([
      {
        mood: 'a "b", c',
        moods: '{fine,"NULL",NULL}',
        home: '("way, ""long""",200)',
        shown: "USER200@EXAMPLE.COM",
      },
    ]);
    expect(tables[1]?.says).toContain("it has no key, so a row that is there would be there twice");
    await query(`DELETE FROM notes; ${tables[1]?.take}`);
    expect(await query("SELECT count(*)::int AS n FROM notes")).toEqual([{ n: 20 }]);
    await query("BEGIN; ALTER TABLE users DROP COLUMN home; COMMIT");
    const [later] = (await copied(file, "--table", "users")).tables;
    expect(later?.says).toContain("without home, which it has not any more");
    await query(`DELETE FROM notes; DELETE FROM users WHERE id = 7; ${later?.take}`);
    expect(await query("SELECT count(*)::int AS n FROM users")).toEqual([{ n: 300 }]);
  });

  it("a second copy has a name of its own, and the first stays", async () => {
    expect((await copied(file, "--table", "empty")).schema).toBe(schema);
    expect((await copied(file, "--table", "empty")).schema).toBe(`${schema}_2`);
    expect(await schemas()).toEqual([schema, `${schema}_2`]);
  });

  it("a partitioned one comes with the rows of its partitions, and one partition by itself", async () => {
    const was = await rowsOf("at, amount", "moves");
    const { tables } = await copied(file, "--table", "moves", "--table", "moves_2026");
    expect(tables.map(({ table, rows }) => [table, rows])).toEqual([
      ["public.moves", 400],
      ["public.moves_2026", 187],
    ]);
    expect(await rowsOf("at, amount", `${schema}.moves`)).toEqual(was);
    await query(`TRUNCATE moves; ${tables[0]?.take}`);
    expect(await rowsOf("at, amount", "moves")).toEqual(was);
  });

  it.each([
    ['"Odd schema"."Odd ""name"""', "a name as it is quoted"],
    ['Odd "name"', "a name as it is"],
    ["nothing", "a table without columns"],
    ["EMPTY", "a name in other letters, as SQL would take it"],
    ["public.notes", "one of two of that name"],
  ])("%s: %s", async name => {
    const { tables } = await copied(file, "--table", name);
    expect(tables).toHaveLength(1);
    expect(await query(`SELECT count(*)::int AS n FROM ${tables[0]?.copy}`)).toEqual([
      { n: tables[0]?.rows },
    ]);
  });

  it.each<[string, string[], number, RegExp]>([
    [
      "is not there: names near ones",
      ["usres"],
      EXIT.unusableBackup,
      /no table usres in .*\n.*Did you mean: public\.users, /,
    ],
    ["several have", ["notes"], EXIT.usage, /several tables notes.*\n.*"Odd schema"\.notes, public\.notes/],
    ["a view has", ["everybody"], EXIT.unusableBackup, /public\.everybody in .* is a view/],
    [
      "two would have in one schema",
      ["public.notes", "Odd schema.notes"],
      EXIT.usage,
      /cannot lie in one schema/,
    ],
  ])("refuses a name that %s", async (_what, names, code, says) => {
    const refused = await agent.run(["restore", file, ...names.flatMap(name => ["--table", name])]);
    expect(refused.code, refused.stderr).toBe(code);
    expect(refused.stderr).toMatch(says);
    expect(refused.stderr).toContain("The database is as it was.");
    expect(await schemas()).toEqual([]);
  });

  it("refuses other ways to replace nothing, and where a publication would send the copy on", async () => {
    for (const flags of [["--undo"], ["--into", "x"], ["--dry-run"]])
      expect((await agent.run(["restore", file, "--table", "users", ...flags])).code).toBe(EXIT.usage);
    await query("CREATE PUBLICATION everything FOR ALL TABLES");
    const refused = await agent.run(["restore", file, "--table", "users"]);
    await query("DROP PUBLICATION everything");
    expect(refused.code, refused.stderr).toBe(EXIT.notConfirmed);
    expect(refused.stderr).toContain("--into NAME");
  });

  it("neither an event trigger nor a lock on the live table is in the way", async () => {
    await query(`CREATE TABLE log (at timestamptz);
      CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (now()); RAISE 'not today'; END $$;
      CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()`);
    const holder = new pg.Client({ connectionString: postgres.url(LIVE) });
    await holder.connect();
    try {
      await holder.query("BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE");
      expect((await copied(file, "--table", "public.notes")).tables[0]?.rows).toBe(20);
    } finally {
      await holder.end();
      await query("DROP EVENT TRIGGER refuse");
    }
    expect(await query("SELECT FROM log")).toEqual([]);
  });

  it("out of a file that this stack did not write, only by way of a throw-away server", async () => {
    const { stdout: dump } = await agent.exec(["sh", "-c", `pg_dump -h $PGHOST -U $PGUSER ${LIVE}`]);
    await writeFile(join(agent.directory, "mine.sql"), dump);
    const { code, stdout, stderr } = await agent.run(["restore", "mine.sql", "--table", "moves"]);
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain("into a throw-away server first");
    expect(stdout).toMatch(/is there as restored_\d+_\d+\.moves\. Rows: 400/);
    await writeFile(
      join(agent.directory, "mine.sql"),
      dump.replace("-- PostgreSQL database dump complete", "\\! id\n$&"),
    );
    expect((await agent.run(["restore", "mine.sql", "--table", "moves"])).code).toBe(EXIT.unusableBackup);
    await rm(join(agent.directory, "mine.sql"));
  });

  it("a damaged backup, and one of another stack, give nothing", async () => {
    await agent.exec([
      "sh",
      "-c",
      `cp /backups/${file} /tmp/whole && sed -i 's/^20\\tnote 20$/20\\tnote 99/' /backups/${file}`,
    ]);
    const damaged = await agent.run(["restore", file, "--table", "notes"]);
    await agent.exec(["sh", "-c", `cat /tmp/whole > /backups/${file}`]);
    expect(damaged.code, damaged.stderr).toBe(EXIT.unusableBackup);
    expect(await schemas()).toEqual([]);
    const none = await agent.run(["restore", "latest", "--from-stack", "other", "--table", "a b"]);
    expect(none.code).toBe(EXIT.unusableBackup);
    if (none.stderr.includes("npx budgie restore"))
      expect(none.stderr).toContain("Add --table 'a b' to that");
  });

  it.each(["Step 2/5", "Step 4/5"])(
    "killed at %s leaves no half of it, and the same command converges",
    async afterText => {
      const before = await untouched();
      await agent.killed(["restore", file, "--table", "users"], { afterText });
      const again = await until(
        "the lock of the killed command free",
        () => agent.run(["restore", file, "--table", "users"]),
        ({ code }) => code !== EXIT.busy,
        { withinMs: 20_000 },
      );
      expect(again.code, again.stderr).toBe(EXIT.done);
      for (const name of await schemas())
        expect(await query(`SELECT count(*)::int AS n FROM ${name}.users`)).toEqual([{ n: 300 }]);
      expect(await untouched()).toBe(before);
    },
  );

  it("a session that the server ends in the midst of the rows leaves nothing", async () => {
    await query(
      "CREATE TABLE long AS SELECT n, repeat(md5(n::text), 20) AS t FROM generate_series(1, 200000) n",
    );
    const { file: large } = await takeBackup(agent);
    const copying = agent.start(["restore", large, "--table", "long"]);
    await copying.said("Step 4/5");
    await until(
      "rows on their way",
      () => query("SELECT pid FROM pg_stat_progress_copy WHERE command = 'COPY FROM'", LIVE),
      found => found.length > 0,
      { withinMs: 30_000, everyMs: 20 },
    );
    await query("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy WHERE command = 'COPY FROM'");
    const ended = await copying.result;
    expect(ended.code, ended.stderr).toBe(EXIT.failed);
    expect(ended.stderr).toContain("nothing of them is kept");
    expect(ended.stderr).toContain("The database is as it was.");
    expect(await schemas()).toEqual([]);
    expect((await copied(large, "--table", "long")).tables[0]?.rows).toBe(200_000);
  });
});

describe("a copy of a table on a disk that fills up", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  /** The disk of the server's shared memory is a small one of its own. */
  const SMALL = "/dev/shm/small";
  const inServer = async (script: string) => {
    const { code, stdout, stderr } = await collectFromContainer(postgres.container, ["sh", "-c", script]);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };
  const query = (text: string, database = LIVE) => queryIn(postgres, database, text);

  beforeAll(async () => {
    postgres = await startPostgres();
    await inServer(`mkdir ${SMALL} && chown postgres ${SMALL}`);
    await query(`CREATE TABLESPACE small LOCATION '${SMALL}'`, "postgres");
    await query(`CREATE DATABASE ${LIVE} TABLESPACE small`, "postgres");
    await query(
      "CREATE TABLE large AS SELECT n, repeat(md5(n::text), 30) AS t FROM generate_series(1, 20000) n",
    );
    agent = await startAgent(postgres, { database: LIVE });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("keeps nothing of it, names the disk, and does it once there is room", async () => {
    const { file } = await takeBackup(agent);
    const [{ needed } = {}] = await query(
      "SELECT ((pg_database_size(current_database()) + pg_table_size('large') / 2) / 1024)::int AS needed",
    );
    const free = Number(await inServer("df -Pk /dev/shm | tail -n 1 | awk '{print $4}'"));
    await inServer(`head -c ${(free - Number(needed)) * 1024} /dev/zero > /dev/shm/filler`);
    const full = await agent.run(["restore", file, "--table", "large"]);
    expect(full.code, full.stdout + full.stderr).toBe(EXIT.noSpace);
    expect(full.stderr).toContain("The database's disk filled up while rows were copied");
    expect(full.stderr).toContain("The database is as it was.");
    expect(await query("SELECT FROM pg_namespace WHERE nspname ~ '^restored'")).toEqual([]);
    await inServer("rm /dev/shm/filler");
    const copied = await agent.run(["restore", file, "--table", "large", "--json"]);
    expect(copied.code, copied.stderr).toBe(EXIT.done);
    expect(JSON.parse(copied.stdout).tables).toMatchObject([{ rows: 20_000 }]);
  });
});
