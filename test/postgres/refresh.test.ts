import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { query as queryIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const STAGING = "budgie_staging";
const PRODUCTION = "budgie_production";
const MASK = `-- nobody here may see an address
UPDATE users
   SET email = 'user' || id || '@example.invalid', password = 'x';
DELETE FROM sessions;
BEGIN;
UPDATE users SET name = 'Nobody';
`;

describe("a refresh from another stack", () => {
  let postgres: TestPostgres;
  let production: TestAgent;
  let staging: TestAgent;
  let proven: string;

  const query = (text: string, database = STAGING) => queryIn(postgres, database, text);
  const refresh = (mask: string | null, ...args: string[]) =>
    staging.run(
      ["refresh", ...(mask === null ? [] : ["--mask=mask.sql"]), ...args],
      mask === null ? undefined : Buffer.from(mask),
    );
  const own = async () => query("SELECT count(*)::int AS n FROM own");
  const databases = async () =>
    (await query("SELECT datname FROM pg_database WHERE datname ~ 'staging' ORDER BY 1", "postgres")).map(
      ({ datname }) => datname,
    );

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: PRODUCTION } });
    await query(
      `CREATE TABLE users (id int PRIMARY KEY, email text, password text, name text);
       INSERT INTO users SELECT n, 'real' || n || '@example.com', md5(n::text), 'Real ' || n FROM generate_series(1, 50) n;
       CREATE TABLE sessions AS SELECT 'secret' AS token`,
      PRODUCTION,
    );
    production = await startAgent(postgres, { database: PRODUCTION, stack: "prod" });
    staging = await startAgent(postgres, {
      database: STAGING,
      stack: "staging",
      directory: production.directory,
      manifestKey: "a".repeat(64),
    });
    ({ file: proven } = await takeBackup(production));
    const drilled = await production.run(["drill", proven]);
    expect(drilled.code, drilled.stderr).toBe(EXIT.done);
    await query("INSERT INTO users VALUES (51, 'later@example.com', 'x', 'Later')", PRODUCTION);
    await takeBackup(production);
  });

  beforeEach(async () => {
    for (const name of await databases()) await query(`DROP DATABASE ${name} WITH (FORCE)`, "postgres");
    await query(`CREATE DATABASE ${STAGING}`, "postgres");
    await query("CREATE TABLE own AS SELECT 1 AS id");
    const accepted = await staging.run(["accept-database"]);
    expect(accepted.code, accepted.stderr).toBe(EXIT.done);
  });

  afterAll(async () => {
    await staging?.stop();
    await production?.stop();
    await postgres?.stop();
  });

  const isAsItWas = async () => {
    expect(await own()).toEqual([{ n: 1 }]);
    expect(await databases()).toEqual([STAGING]);
    expect(await query("SELECT FROM pg_roles WHERE rolname ~ 'loader'", "postgres")).toEqual([]);
  };

  it("takes the newest proven backup, masks it before anybody sees it, and keeps what was there", async () => {
    const { code, stdout, stderr } = await refresh(MASK, "--from", "prod");
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain(`The newest proven backup of prod is ${proven}`);
    expect(
      await query(
        "SELECT count(*)::int AS n, count(*) FILTER (WHERE email LIKE '%@example.com' OR name <> 'Nobody')::int AS seen FROM users",
      ),
    ).toEqual([{ n: 50, seen: 0 }]);
    expect(await query("SELECT FROM sessions")).toEqual([]);
    expect(await query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")).toEqual([
      { tableowner: "budgie_user" },
    ]);
    expect(
      await query(`SELECT has_database_privilege('pg_monitor', '${STAGING}', 'CONNECT') AS connects`),
    ).toEqual([{ connects: true }]);
    const [, previous] = await databases();
    expect(await queryIn(postgres, String(previous), "SELECT count(*)::int AS n FROM own")).toEqual([
      { n: 1 },
    ]);
    expect(
      await query("SELECT count(*)::int AS n FROM users WHERE email LIKE '%@example.com'", PRODUCTION),
    ).toEqual([{ n: 51 }]);
    const undone = await staging.run(["restore", "--undo"]);
    expect(undone.code, undone.stderr).toBe(EXIT.done);
    expect(await own()).toEqual([{ n: 1 }]);
  });

  it("without a mask says what is there then; a backup can be named", async () => {
    const { code, stdout, stderr } = await refresh(null, "--from", "prod", proven, "--json");
    expect(code, stderr).toBe(EXIT.done);
    expect(JSON.parse(stdout)).toMatchObject({ source: proven, database: STAGING, rows: 51 });
    expect(stderr).toContain("all data of prod will be here as it is");
  });

  it.each<[string, string, RegExp]>([
    [
      "fails",
      "SELECT 1;\n\nUPDATE users SET nothing = 1;\n",
      /mask\.sql ended with an error in line 3: column "nothing" .* The statement: UPDATE users SET nothing = 1;/,
    ],
    ["reads a file of the server", "COPY users FROM '/etc/passwd';", /permission denied/],
    ["runs a program", "COPY (SELECT 1) TO PROGRAM 'touch /tmp/pwned';", /permission denied/],
    ["alters a role", "ALTER ROLE budgie_user PASSWORD 'x';", /permission denied/],
    ["changes the server", "ALTER SYSTEM SET work_mem = '5MB';", /permission denied/],
    ["drops a database", `DROP DATABASE ${PRODUCTION};`, /must be owner of database/],
    ["hides a failure in a transaction", "BEGIN; SELECT 1/0; COMMIT;", /division by zero/],
    [
      "takes its masking back",
      "BEGIN; DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN OTHERS THEN NULL; END $$; UPDATE users SET nothing = 1; COMMIT;",
      /nothing/,
    ],
  ])("a mask that %s leaves everything as it was", async (_what, mask, says) => {
    const { code, stderr } = await refresh(mask, "--from", "prod");
    expect(code, stderr).toBe(EXIT.failed);
    expect(stderr).toMatch(says);
    expect(stderr).toContain("The database is as it was.");
    await isAsItWas();
  });

  it.each<[string, string, RegExp]>([
    ["holds a command for psql", "\\connect budgie_production\n", /command for psql in line 1/],
    ["ends in the midst of a statement", "DELETE FROM users", /semicolon/],
    ["holds nothing", "-- later\n", /holds no statement/],
  ])("a mask that %s is refused before anything is loaded", async (_what, mask, says) => {
    const { code, stdout, stderr } = await refresh(mask, "--from", "prod");
    expect(code, stderr).toBe(EXIT.usage);
    expect(stderr).toMatch(says);
    expect(stdout).not.toContain("Step");
    await isAsItWas();
  });

  it("refuses itself, a stack of production unless it is meant, another stack's backup, and where none is proven", async () => {
    const self = await refresh(null, "--from", "staging");
    expect(self.code, self.stderr).toBe(EXIT.usage);
    const wrong = await production.run(["refresh", "--from", "staging"]);
    expect(wrong.code, wrong.stderr).toBe(EXIT.notConfirmed);
    expect(wrong.stderr).toContain("--allow-production");
    const none = await production.run(["refresh", "--from", "staging", "--allow-production"]);
    expect(none.code, none.stderr).toBe(EXIT.unusableBackup);
    expect(none.stderr).toContain("No backup of stack staging in ./backups is proven");
    const { file } = await takeBackup(staging);
    const named = await refresh(null, "--from", "prod", file);
    expect(named.code, named.stderr).toBe(EXIT.unusableBackup);
    expect(named.stderr).toContain("is a backup of stack staging, and not of prod");
    await isAsItWas();
  });

  it("takes a backup that is sent from the other stack's own directory, and only as that stack recorded it", async () => {
    const { code, stdout } = await production.run(["list", "--json"]);
    expect(code).toBe(EXIT.done);
    const entries: { name: string; manifest: { contentSha256: string } }[] = JSON.parse(stdout);
    const recorded = entries.find(({ name }) => name === proven)?.manifest.contentSha256 ?? "";
    const bytes = await readFile(join(production.directory, proven));
    const kept = await staging.exec(["sh", "-c", `echo "DELETE FROM users;" | budgie-agent keep-mask`]);
    const masked = ["--mask=mask.sql", `--kept-mask=${kept.stdout.trim()}`];
    const sent = ["refresh", "--from", "prod", "--recorded", recorded];
    const cut = await staging.run([...sent, "--", proven], bytes.subarray(0, bytes.length - 300));
    expect(cut.code, cut.stderr).toBe(EXIT.unusableBackup);
    const other = Buffer.from(bytes.toString().replace("real7@", "fake7@"));
    const changed = await staging.run([...sent, "--", proven], other);
    expect(changed.code, changed.stderr).toBe(EXIT.unusableBackup);
    expect(changed.stderr).toContain(`${proven} of prod is not what its manifest recorded`);
    await isAsItWas();
    const done = await staging.run([...sent, ...masked, "--", proven], bytes);
    expect(done.code, done.stderr).toBe(EXIT.done);
    expect(await query("SELECT FROM users")).toEqual([]);
    const twice = await staging.run([...sent, ...masked, "--", proven], bytes);
    expect(twice.code, twice.stderr).toBe(EXIT.usage);
    expect(twice.stderr).toContain("it serves one command");
  });

  it("refuses a backup of which a byte is another one since it was proven", async () => {
    const sed = `cp /backups/${proven} /tmp/whole && sed -i 's/real7@/fake7@/' /backups/${proven}`;
    await staging.exec(["sh", "-c", sed]);
    const { code, stderr } = await refresh(MASK, "--from", "prod");
    await staging.exec(["sh", "-c", `cat /tmp/whole > /backups/${proven}`]);
    expect(code, stderr).toBe(EXIT.unusableBackup);
    expect(stderr).toContain("is not what its manifest recorded");
    await isAsItWas();
  });

  it("nobody but the server's superusers can connect to what is not masked yet; killed then, the old one serves", async () => {
    await query("CREATE ROLE onlooker LOGIN PASSWORD 'x'", "postgres");
    const slow = "SELECT pg_sleep(600);";
    const running = staging.killed(
      ["refresh", "--mask=mask.sql", "--from", "prod"],
      {
        after: until(
          "the mask at work",
          () =>
            query("SELECT datname FROM pg_stat_activity WHERE application_name = 'budgie mask'", "postgres"),
          found => found.length > 0,
          { withinMs: 120_000 },
        ).then(async () => {
          expect(
            await query(
              `SELECT has_database_privilege('onlooker', '${STAGING}_candidate', 'CONNECT') AS can`,
              "postgres",
            ),
          ).toEqual([{ can: false }]);
        }),
      },
      Buffer.from(slow),
    );
    await running;
    await query("DROP ROLE onlooker", "postgres");
    expect(await own()).toEqual([{ n: 1 }]);
    const again = await until(
      "the lock of the killed command free",
      () => refresh(MASK, "--from", "prod"),
      ({ code }) => code !== EXIT.busy,
      { withinMs: 60_000 },
    );
    expect(again.code, again.stderr).toBe(EXIT.done);
  });
});
