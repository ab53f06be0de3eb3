import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../../support/agent/agent.ts";
import { bzip2, xz, zip } from "../../support/agent/packed.ts";
import { query as queryIn } from "../../support/database/query.ts";
import { TEST_MAJOR } from "../../support/servers/major.ts";
import { startPostgres, type TestPostgres } from "../../support/servers/postgres.ts";

const LEDGER = `
  CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE NOT NULL, joined timestamptz);
  INSERT INTO users (email, joined) SELECT 'user' || n || '@example.com', '2026-01-01 12:00+02'::timestamptz + n * interval '1 hour' FROM generate_series(1, 50) n;
  CREATE TABLE notes (user_id int REFERENCES users, body text);
  INSERT INTO notes SELECT n, E'line one\\r\\nline two\\t' || n FROM generate_series(1, 50) n;
  CREATE FUNCTION shout(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(t) $$;
  CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.joined := coalesce(NEW.joined, now()); RETURN NEW; END $$;
  CREATE TRIGGER stamp BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();
  CREATE INDEX by_shout ON users (shout(email));
  CREATE ROLE clerk; CREATE ROLE "trainee; of two";
  GRANT SELECT ON notes TO clerk WITH GRANT OPTION;
  SET ROLE clerk; GRANT SELECT ON notes TO "trainee; of two"; RESET ROLE;
  CREATE TABLE theirs AS SELECT 1 AS n;
  ALTER TABLE theirs OWNER TO "trainee; of two";
  COMMENT ON SCHEMA public IS 'ours'; REVOKE CREATE ON SCHEMA public FROM PUBLIC;`;

const ROWS = `SELECT md5(string_agg(u::text || n::text, ',' ORDER BY id)) AS rows FROM users u JOIN notes n ON n.user_id = u.id`;

describe("files that people really have, and this stack did not write", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let dump: Buffer;
  let custom: Buffer;
  let rows: Record<string, unknown>[];

  const query = (text: string, database = "budgie_dev") => queryIn(postgres, database, text);
  const inAgent = async (command: string) => {
    const { code, stdout, stderr } = await agent.exec(["sh", "-c", command]);
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const tryFile = async (name: string, content: Buffer | string, ...flags: string[]) => {
    await writeFile(join(agent.directory, name), content);
    const { code, stdout, stderr } = await agent.run(["restore", name, ...flags]);
    await rm(join(agent.directory, name));
    expect(stderr).not.toMatch(/\n\s+at /);
    return { code, said: stdout + stderr };
  };
  const pgDump = (...args: string[]) => inAgent(`pg_dump -h $PGHOST -U $PGUSER ${args.join(" ")} source`);

  beforeAll(async () => {
    postgres = await startPostgres();
    await query("CREATE DATABASE source", "postgres");
    await query("CREATE DATABASE budgie_dev", "postgres");
    await query(LEDGER, "source");
    agent = await startAgent(postgres, { database: "budgie_dev" });
    dump = Buffer.from(await pgDump());
    await inAgent(
      "pg_dump -h $PGHOST -U $PGUSER -Fc -f /tmp/source.dump source && cp /tmp/source.dump /backups/source.dump",
    );
    custom = Buffer.from(await inAgent("base64 < /tmp/source.dump"), "base64");
    rows = await query(ROWS, "source");
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  afterEach(async () => {
    expect(
      await query("SELECT rolname FROM pg_roles WHERE rolname ~ 'loader'", "postgres"),
      "no role of a restore is left",
    ).toEqual([]);
  });

  const restoredAll = async () => {
    expect(await query(ROWS)).toEqual(rows);
    expect(
      await query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
      "everything belongs to the stack's role",
    ).toEqual([{ tableowner: "budgie_user" }]);
    expect(
      await query("SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = 'budgie_dev'"),
    ).toEqual([{ owner: "budgie_user" }]);
  };

  it("a plain dump is restored by way of a throw-away server, and what it brings along is counted", async () => {
    const { code, said } = await tryFile("mine.sql", dump);
    expect(code, said).toBe(EXIT.done);
    expect(said).toContain("into a throw-away server first, because this stack did not write it");
    expect(said).toContain("brought 2 functions and 1 triggers along");
    await restoredAll();
  });

  it.each([
    ["with the line ends of Windows", () => Buffer.from(dump.toString().replaceAll("\n", "\r\n"))],
    [
      "with them and a byte order mark",
      () => Buffer.from(`\ufeff${dump.toString().replaceAll("\n", "\r\n")}`),
    ],
  ])("a dump %s is converted, and that is said", async (_what, make) => {
    const { code, said } = await tryFile("windows.sql", make());
    expect(code, said).toBe(EXIT.done);
    expect(said).toContain("had the line ends of Windows");
    await restoredAll();
  });

  it.each<[string, () => Buffer, RegExp]>([
    ["UTF-16", () => Buffer.from(`\ufeff${dump.toString()}`, "utf16le"), /is UTF-16.*\n.*iconv -f UTF-16/],
    ["a zip file", () => zip(dump), /is a zip file.*\n.*unzip -p \.\/backups\/odd/],
    ["bzip2", () => bzip2(dump), /is compressed with bzip2.*\n.*bzip2 -dc \.\/backups\/odd/],
    ["xz", () => xz(dump), /is compressed with xz.*\n.*xz -dc \.\/backups\/odd/],
    [
      "a custom archive that went through a terminal",
      () => Buffer.from(custom.toString("latin1").replaceAll("\n", "\r\n"), "latin1"),
      /went through a terminal.*\n.*without -t/,
    ],
  ])("%s is named for what it is, with the line that helps", async (_what, make, says) => {
    const { code, said } = await tryFile("odd", make());
    expect(code).toBe(EXIT.unusableBackup);
    expect(said).toMatch(says);
  });

  /** Runs the line that a refusal prints, with the file and the agent filled in. */
  const follow = async (said: string, file: string, content: Buffer) => {
    const line = /: ((?:sed|xz|bzip2|iconv) .*) \| npx budgie restore -/.exec(said)?.[1];
    expect(line, said).toBeDefined();
    await writeFile(join(agent.directory, "given"), content);
    const made = await inAgent(`${line?.replace(`./backups/${file}`, "/backups/given")}; rm /backups/given`);
    return agent.run(["restore", "-"], Buffer.from(made));
  };

  it.each([
    ["grants that somebody else than the owner gave", ""],
    ["objects that are made as their owners", "--use-set-session-authorization"],
    ["what would empty the database first", "--clean"],
    ["what would empty the database first, if it is there", "--clean --if-exists"],
    ["a row for each statement", "--inserts"],
    ["bodies in other quotes", "--disable-dollar-quoting --quote-all-identifiers"],
  ])("a plain dump with %s is loaded", async (_what, options) => {
    const { code, said } = await tryFile("shaped.sql", await pgDump(options));
    expect(code, said).toBe(EXIT.done);
    expect(said).not.toContain("lacks roles");
    await restoredAll();
  });

  it.each([
    ["searches in public, as pg_dump wrote it before 10.3", "SET search_path = public, pg_catalog;"],
    ["does not say where to search, as people and tools write it", ""],
  ])("a plain dump without schemas, which %s, is loaded into public", async (_what, search) => {
    const old = dump
      .toString()
      .replace(/^SELECT pg_catalog\.set_config\('search_path'.*$/m, search)
      .replaceAll("public.", "")
      .replace(/^-- Name: .*; Type: (?:TABLE|INDEX|CONSTRAINT); .*$/gm, "$&; Tablespace: ");
    const { code, said } = await tryFile("old.sql", old);
    expect(code, said).toBe(EXIT.done);
    expect(said).not.toContain("lacks roles");
    await restoredAll();
    const trusted = await tryFile("old.sql", old, "--trust-file");
    expect(trusted.code, trusted.said).toBe(EXIT.done);
    expect(await query(ROWS)).toEqual(rows);
  });

  it("says how much it left out of what would empty the database", async () => {
    const { said } = await tryFile("clean.sql", await pgDump("--clean"));
    expect(said).toMatch(/nothing to remove in an empty database: \d+ statements of pg_dump --clean/);
  });

  /** Makes a file in the agent's container, and returns its bytes. */
  const made = async (commands: string) =>
    Buffer.from(await inAgent(`cd /tmp && rm -rf made && ${commands} && base64 < made`), "base64");
  const connection = "-h $PGHOST -U $PGUSER source";

  it.each([
    [
      "of a directory that was packed with its name",
      `rm -rf folder && pg_dump -Fd -f folder ${connection} && tar -cf made folder`,
    ],
    [
      "of a directory that was packed from within",
      `rm -rf folder && pg_dump -Fd -f folder ${connection} && tar -cf made -C folder .`,
    ],
  ])("a tar file %s is loaded", async (_what, commands) => {
    const { code, said } = await tryFile("packed.tar", await made(commands));
    expect(code, said).toBe(EXIT.done);
    await restoredAll();
  });

  it.each([
    ["whole", (all: Buffer) => all],
    ["cut off", (all: Buffer) => all.subarray(0, all.length / 2)],
  ])(
    "pg_dump's tar format is named for what it is, %s, and the line that is printed restores it",
    async (_what, part) => {
      const all = await made(`pg_dump -Ft -f made ${connection}`);
      const { code, said } = await tryFile("theirs.tar", part(all));
      expect(code).toBe(EXIT.unusableBackup);
      expect(said).toMatch(
        /tar format.*\n.*: pg_restore --file=- \.\/backups\/theirs\.tar \| npx budgie restore -/,
      );
      const sql = await made(`pg_dump -Ft -f archive ${connection} && pg_restore --file=- archive > made`);
      const { code: then, stderr } = await agent.run(["restore", "-"], sql);
      expect(then, stderr).toBe(EXIT.done);
      await restoredAll();
    },
  );

  it("an archive that was compressed once more is named for what it is, and the line that is printed restores it", async () => {
    const twice = await made(`pg_dump -Fc -f archive ${connection} && gzip -c archive > made`);
    const { code, said } = await tryFile("twice.gz", twice);
    expect(code).toBe(EXIT.unusableBackup);
    expect(said).toMatch(
      /is no SQL: .* packed with gzip.*\n.*: gzip -dc \.\/backups\/twice\.gz \| npx budgie restore -/,
    );
    const { code: then, stderr } = await agent.run(["restore", "-"], gunzipSync(twice));
    expect(then, stderr).toBe(EXIT.done);
    await restoredAll();
  });

  it("a custom archive is loaded, without the owners and grants that are in it", async () => {
    const { code, said } = await tryFile("theirs.dump", custom);
    expect(code, said).toBe(EXIT.done);
    await restoredAll();
  });

  it("a dump made with --create is refused, and the line that is printed restores it", async () => {
    const created = Buffer.from(await pgDump("--create"));
    const { code, said } = await tryFile("created.sql", created);
    expect(code).toBe(EXIT.unusableBackup);
    expect(said).toContain("as what pg_dump --create makes does");
    const { code: then, stderr } = await follow(said, "created.sql", created);
    expect(then, stderr).toBe(EXIT.done);
    await restoredAll();
  });

  it("a dump of a whole server is refused, and the line that is printed restores one of its databases", async () => {
    const all = Buffer.from(await inAgent("pg_dumpall -h $PGHOST -U $PGUSER --no-role-passwords"));
    const { code, said } = await tryFile("all.sql", all);
    expect(code).toBe(EXIT.unusableBackup);
    expect(said).toContain("is of a whole server, made with pg_dumpall");
    const { code: then, stderr } = await follow(said.replaceAll("NAME", "source"), "all.sql", all);
    expect(then, stderr).toBe(EXIT.done);
    await restoredAll();
  });

  it.each([
    ["12.22", "an older version"],
    ["15.8", "the version before"],
  ])("a dump by pg_dump %s, %s, is loaded", async version => {
    const older = dump
      .toString()
      .replaceAll("version 16.14", `version ${version}`)
      .replace(/^\\(un)?restrict.*\n/gm, "");
    const { code, said } = await tryFile("older.sql", older);
    expect(code, said).toBe(EXIT.done);
    await restoredAll();
  });

  it.runIf(Number(TEST_MAJOR) < 17)(
    "what a newer pg_dump sets and this server does not know is left out, and said",
    async () => {
      const newer = dump
        .toString()
        .replaceAll("version 16.14", "version 18.1")
        .replace("SET lock_timeout = 0;", "SET lock_timeout = 0;\nSET transaction_timeout = 0;");
      const { code, said } = await tryFile("newer.sql", newer);
      expect(code, said).toBe(EXIT.done);
      expect(said).toContain("SET transaction_timeout");
      await restoredAll();
    },
  );

  it("roles that the server does not have are named before anything is loaded, with the line that makes them", async () => {
    const others = dump
      .toString()
      .replaceAll("OWNER TO budgie_user", 'OWNER TO "the accountant"')
      .replaceAll("Owner: budgie_user", "Owner: the accountant");
    const { code, said } = await tryFile("others.sql", others);
    expect(code, said).toBe(EXIT.done);
    expect(said).toMatch(/lacks roles that it names: the accountant.*CREATE ROLE "the accountant";/);
    await restoredAll();
    const trusted = await tryFile("others.sql", others, "--trust-file");
    expect(trusted.code).toBe(EXIT.unusableBackup);
    expect(trusted.said).toMatch(/needs roles.*the accountant[\s\S]*CREATE ROLE "the accountant";/);
    expect(trusted.said).not.toContain("Step 1");
  });

  it("values written under other settings are counted, and the content is right", async () => {
    await query("ALTER DATABASE source SET timezone TO 'Asia/Kolkata'", "postgres");
    const elsewhere = await pgDump();
    await query("ALTER DATABASE source RESET timezone", "postgres");
    expect(elsewhere).toContain("+05:30");
    const { code, said } = await tryFile("elsewhere.sql", elsewhere);
    expect(code, said).toBe(EXIT.done);
    expect(said).toContain("Counted, and not compared with the file's own text: public.users");
    await restoredAll();
  });

  it("what only a superuser may is named, and done when the file is trusted", async () => {
    const more = dump
      .toString()
      .replace(
        "--\n-- PostgreSQL database dump complete",
        "CREATE PUBLICATION everything FOR ALL TABLES;\n\n--\n-- PostgreSQL database dump complete",
      );
    const { code, said } = await tryFile("more.sql", more);
    expect(code).toBe(EXIT.unusableBackup);
    expect(said).toMatch(/must be superuser to create FOR ALL TABLES publication[\s\S]*--trust-file/);
    expect(said).toContain("The database is as it was.");
    const trusted = await tryFile("more.sql", more, "--trust-file");
    expect(trusted.code, trusted.said).toBe(EXIT.done);
    expect(trusted.said).toContain("with all rights");
    expect(await query(ROWS)).toEqual(rows);
    expect(
      await query("SELECT tableowner FROM pg_tables WHERE tablename = 'theirs'"),
      "it belongs to whom the file says",
    ).toEqual([{ tableowner: "trainee; of two" }]);
  });

  it("rows that come in two blocks for one table are all there", async () => {
    const twice = dump
      .toString()
      .replace(
        "--\n-- PostgreSQL database dump complete",
        "COPY public.notes (user_id, body) FROM stdin;\n1\tone more\n\\.\n\n--\n-- PostgreSQL database dump complete",
      );
    const { code, said } = await tryFile("twice.sql", twice);
    expect(code, said).toBe(EXIT.done);
    expect(await query("SELECT count(*)::int AS notes FROM notes")).toEqual([{ notes: 51 }]);
  });
});
