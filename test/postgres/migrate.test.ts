// `npx budgie migrate --to postgres://…`: the operator's own command, two real servers, the real agent.

import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { onTerminal } from "../support/agent/terminal.ts";
import { query } from "../support/database/query.ts";
import { makeTablespace, RICH_DATABASE } from "../support/database/rich.ts";
import { snapshotDatabase } from "../support/database/snapshot.ts";
import { placeInNetwork } from "../support/servers/container-address.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { giveCertificate, makeCertificate } from "../support/servers/tls.ts";
import { SLOW } from "../support/slow-lane.ts";
import { until } from "../support/until.ts";

const docker = new Docker();
const stack = `migrate-${randomBytes(4).toString("hex")}`;
const labels = (role: string) => ({ "budgie.stack": stack, "budgie.prefix": stack, "budgie.role": role });
const SOURCE = "budgie_dev";
const TARGET = "budgie_production";
/** Every character that a passfile or an URL would take for something else. */
const PASSWORD = "a:b\\c d/e@f%41";

const LEDGER = `
  DROP SCHEMA public CASCADE; CREATE SCHEMA public;
  CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, password_hash text);
  CREATE TABLE entries (id serial PRIMARY KEY, user_id int REFERENCES users, amount numeric(12, 2));
  INSERT INTO users (email, password_hash) SELECT 'user' || n || '@example.com', md5(n::text) FROM generate_series(1, 50) n;
  INSERT INTO entries (user_id, amount) SELECT 1 + n % 50, n / 7.0 FROM generate_series(1, 2000) n;
  CREATE INDEX ON entries (user_id)`;
/** As the API of another stack leaves it at its first start. */
const NEW_BUDGIE = `
  CREATE TABLE users (id int, email text); CREATE TABLE entries (id int);
  CREATE TABLE backend_migrations AS SELECT '0001' AS name`;

/** What it says when it is killed. In the normal lane, once: in the midst of the load. */
const MOMENTS = ["Creating database backup", "Loading budgie_", "Comparing what is there"];

describe("npx budgie migrate --to postgres://…", () => {
  let source: TestPostgres;
  let target: TestPostgres;
  let agent: TestAgent;
  let backend: Docker.Container;
  let folder: string;
  let address: string;

  const here = (text: string) => query(source, SOURCE, text);
  const there = (text: string, database = TARGET) => query(target, database, text);
  const url = (options: { user?: string; database?: string; query?: string; host?: string } = {}) =>
    `postgres://${options.user ?? "budgie_user"}@${options.host ?? address}:5432/${options.database ?? TARGET}?${options.query ?? "sslmode=disable"}`;
  const command = (...args: string[]) => ["scripts/budgie.mjs", "--stack", stack, "migrate", ...args];
  const start = (args: string[], env: Record<string, string> = {}) =>
    execa("node", command(...args), {
      all: true,
      reject: false,
      stdin: "ignore",
      env: { PGPASSWORD: target.password, HOME: folder, ...env },
    });
  const migrate = async (args: string[], env: Record<string, string> = {}) => {
    const { exitCode, all } = await start(["--yes", ...args], env);
    return { code: exitCode, output: all };
  };
  const runs = async () => (await backend.inspect()).State.Running;
  const databases = async () =>
    (await there("SELECT datname FROM pg_database WHERE datname LIKE 'budgie%' ORDER BY 1", "postgres")).map(
      ({ datname }) => datname,
    );
  const emptyTarget = async () => {
    for (const name of await databases()) await there(`DROP DATABASE "${name}" WITH (FORCE)`, "postgres");
    await there("DROP ROLE IF EXISTS mover", "postgres");
    await there(`CREATE DATABASE ${TARGET}`, "postgres");
  };
  const nothingMoved = async () => {
    expect(await runs()).toBe(true);
    expect(await databases()).toEqual([TARGET]);
    expect(await here("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 2000 }]);
  };

  beforeAll(async () => {
    [source, target] = await Promise.all([startPostgres({ env: { POSTGRES_DB: SOURCE } }), startPostgres()]);
    // Before the agent knows its address: a container that starts anew may get another.
    await here("ALTER SYSTEM SET max_prepared_transactions = 5");
    await source.container.restart();
    await source.ready();
    folder = await mkdtemp(join(tmpdir(), "budgie-migrate-"));
    const directory = await mkdtemp(join(tmpdir(), "budgie-migrate-backups-"));
    agent = await startAgent(source, {
      database: SOURCE,
      stack,
      directory,
      labels: { ...labels("backup-agent"), "budgie.backup-dir": directory },
    });
    ({ address } = await placeInNetwork(target.container));
    backend = await docker.createContainer({
      Image: "postgres:16-alpine",
      Cmd: ["sleep", "infinity"],
      Labels: { "budgie.test": "true", ...labels("backend") },
      HostConfig: { RestartPolicy: { Name: "unless-stopped" }, Init: true },
    });
  });

  beforeEach(async () => {
    await agent.clear();
    await here(LEDGER);
    await emptyTarget();
    await backend.start().catch(() => undefined);
  });

  afterEach(async () => {
    // A command that was killed on this machine may go on in the agent.
    await until(
      "the end of what a test has left",
      () =>
        agent.exec([
          "sh",
          "-c",
          "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[a]gent.cjs migrate'",
        ]),
      ({ stdout }) => stdout.trim() === "0",
    );
  });

  afterAll(async () => {
    await backend?.remove({ force: true });
    await agent?.stop();
    await source?.stop();
    await target?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("moves every row, the next insert works, the old database is whole and its API stays stopped", async () => {
    await here(
      "COMMENT ON DATABASE budgie_dev IS 'the household'; ALTER DATABASE budgie_dev SET timezone = 'Europe/Zurich'",
    );
    const { code, output } = await migrate(["--to", url()]);
    expect(code, output).toBe(EXIT.done);
    expect(output).toContain(`Nothing is encrypted on the way to ${address}`);
    expect(output).toMatch(/The rehearsal succeeded\. Writes will be stopped for about [\d.]+ s/);
    expect(output).toMatch(/From the moment that the backend was stopped to the end it took [\d.]+ s/);
    expect(output).toContain("npx budgie start backend");
    expect(
      await there(
        "SELECT count(*)::int AS n, md5(string_agg(u::text, ',' ORDER BY id)) AS digest FROM users u",
      ),
    ).toEqual(
      await here(
        "SELECT count(*)::int AS n, md5(string_agg(u::text, ',' ORDER BY id)) AS digest FROM users u",
      ),
    );
    expect(await there("INSERT INTO entries (user_id, amount) VALUES (7, 1) RETURNING id")).toEqual([
      { id: 2001 },
    ]);
    expect(await there("INSERT INTO users (email) VALUES ('new') RETURNING id")).toEqual([{ id: 51 }]);
    expect(await there("SHOW timezone")).toEqual([{ TimeZone: "Europe/Zurich" }]);
    expect(
      await there(
        "SELECT shobj_description(oid, 'pg_database') AS c FROM pg_database WHERE datname = current_database()",
      ),
    ).toEqual([{ c: "the household" }]);
    expect(await runs()).toBe(false);
    expect(await here("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 2000 }]);
    expect(await databases()).toEqual([
      TARGET,
      expect.stringMatching(/^budgie_production_before_\d{8}_\d{6}$/),
    ]);
    expect((await agent.exec(["sh", "-c", "ls /dev/shm"])).stdout).toBe("");

    const again = await migrate(["--to", url()]);
    expect(again.code, again.output).toBe(EXIT.done);
    expect(again.output).toContain("It was moved to");
    expect(await runs()).toBe(false);
    await here("INSERT INTO entries (user_id, amount) VALUES (1, 1)");
    const refused = await migrate(["--to", url()]);
    expect(refused.code, refused.output).toBe(EXIT.notConfirmed);
    expect(refused.output).toMatch(/is not empty: it holds rows in public\.entries, public\.users/);
  });

  it("moves one of everything there is, owners and grants as well, where the roles are there", async () => {
    await makeTablespace(source);
    await makeTablespace(target);
    await query(source, "postgres", "CREATE DATABASE budgie_rich");
    await query(source, "budgie_rich", RICH_DATABASE);
    const rich = await startAgent(source, { database: "budgie_rich", stack: "rich" });
    try {
      await there(`CREATE ROLE household_reader; CREATE ROLE "odd ""role"""`, "postgres");
      const keep = () =>
        rich.run(
          ["keep-target"],
          Buffer.from(
            JSON.stringify({
              host: address,
              port: 5432,
              user: "budgie_user",
              password: target.password,
              database: TARGET,
              sslMode: "disable",
              rootCertificate: null,
            }),
          ),
        );
      const moved = await rich.run(["migrate", "cut-over", "--target", (await keep()).stdout.trim()]);
      expect(moved.code, moved.stdout + moved.stderr).toBe(EXIT.done);
      const [before, after] = await Promise.all([
        snapshotDatabase(source, "budgie_rich"),
        snapshotDatabase(target, TARGET),
      ]);
      expect(after).toEqual(before);
    } finally {
      await rich.stop();
    }
  });

  it("does with a role that is no superuser, into a new stack's empty database, with a password of any characters", async () => {
    await there(NEW_BUDGIE);
    await there(`CREATE ROLE mover LOGIN CREATEDB PASSWORD '${PASSWORD.replace(/'/g, "''")}'`, "postgres");
    await there(`ALTER DATABASE ${TARGET} OWNER TO mover`, "postgres");
    await there(
      "ALTER TABLE users OWNER TO mover; ALTER TABLE entries OWNER TO mover; ALTER TABLE backend_migrations OWNER TO mover",
    );
    const passfile = join(folder, "passfile");
    await writeFile(passfile, `${address}:5432:*:mover:${PASSWORD.replace(/[\\:]/g, "\\$&")}\n`, {
      mode: 0o600,
    });
    const { exitCode, all } = await execa("node", command("--yes", "--to", url({ user: "mover" })), {
      all: true,
      reject: false,
      stdin: "ignore",
      env: { PGPASSFILE: passfile },
    });
    expect(exitCode, all).toBe(EXIT.done);
    expect(all).toContain("everything will belong to mover");
    expect(all).not.toContain("a:b");
    expect(await there("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")).toEqual([
      { tableowner: "mover" },
    ]);
    expect(await there("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 2000 }]);
    expect(await there("INSERT INTO entries (user_id, amount) VALUES (7, 1) RETURNING id")).toEqual([
      { id: 2001 },
    ]);
  });

  it("makes the database where there is none, and only rehearses when that is asked", async () => {
    await there(`DROP DATABASE ${TARGET}`, "postgres");
    const { code, output } = await migrate(["--to", url(), "--rehearse"]);
    expect(code, output).toBe(EXIT.done);
    expect(output).toContain("Nothing was moved");
    expect(await databases()).toEqual([]);
    expect(await runs()).toBe(true);
    const moved = await migrate(["--to", url()]);
    expect(moved.code, moved.output).toBe(EXIT.done);
    expect(await databases()).toEqual([TARGET]);
  });

  it("asks twice on a terminal; a no stops nothing", async () => {
    const asked = await onTerminal(
      ["node", ...command("--to", url())],
      [
        { to: "Password of budgie_user", type: `${target.password}\n` },
        { to: "Begin to move it", type: "y\n" },
        { to: "Stop the backend now", type: "n\n" },
      ],
      {
        env: {
          PATH: process.env.PATH,
          DOCKER_HOST: process.env.DOCKER_HOST,
          HOME: folder,
          TERM: "xterm",
        },
      },
    );
    expect(asked.code, asked.output).toBe(EXIT.notConfirmed);
    expect(asked.output).not.toContain(target.password);
    expect(asked.output).toMatch(/Writes will be stopped for about [\d.]+ s/);
    await nothingMoved();
  });

  it.each<[string, () => Promise<unknown>, () => string[], RegExp]>([
    [
      "that holds a row",
      () => there("CREATE TABLE theirs AS SELECT 1 AS id"),
      () => ["--to", url()],
      /budgie_production is not empty: it holds rows in public\.theirs/,
    ],
    [
      "that holds a large object alone",
      () => there("SELECT lo_create(0)"),
      () => ["--to", url()],
      /is not empty: it holds 1 large objects/,
    ],
    [
      "of another encoding",
      () =>
        there(`DROP DATABASE ${TARGET}`, "postgres").then(() =>
          there(
            `CREATE DATABASE ${TARGET} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
            "postgres",
          ),
        ),
      () => ["--to", url()],
      /has the encoding LATIN1, and the database here has UTF8/,
    ],
    [
      "whose role may make no database",
      () => there("CREATE ROLE mover LOGIN PASSWORD 'x'", "postgres"),
      () => ["--to", url({ user: "mover" })],
      /ALTER ROLE "mover" CREATEDB/,
    ],
    [
      "of somebody else",
      () => there("CREATE ROLE mover LOGIN CREATEDB PASSWORD 'x'", "postgres"),
      () => ["--to", url({ user: "mover" })],
      /belongs to budgie_user, and mover may not rename it/,
    ],
    [
      "that nobody answers at",
      async () => undefined,
      () => ["--to", url().replace(":5432", ":5499")],
      /cannot be reached: .*ECONNREFUSED/,
    ],
    [
      "that speaks no TLS",
      async () => undefined,
      () => ["--to", url({ query: "" })],
      /does not support SSL.*\s.*sslmode=disable/,
    ],
  ])("refuses a target %s, and stops nothing", async (_what, make, args, says) => {
    await make();
    const { code, output } = await migrate(
      args(),
      args().join().includes("mover@") ? { PGPASSWORD: "x" } : {},
    );
    expect(code, output).not.toBe(EXIT.done);
    expect(output).toMatch(says);
    expect(output).not.toContain("at async");
    await nothingMoved();
  });

  it.each([
    ["a password", () => url().replace("@", ":hunter2@"), /where everybody on this machine can read it/],
    ["this machine's own name", () => url({ host: "localhost" }), /the container itself/],
    ["TLS by chance", () => url({ query: "sslmode=prefer" }), /leaves it to chance/],
    ["an unknown word", () => url({ query: "application_name=x" }), /does not know application_name/],
    ["no database", () => url({ database: "" }), /usable database/],
    ["something else", () => "https://example.com", /names no PostgreSQL database/],
  ])("refuses %s in --to, without asking anybody", async (_what, to, says) => {
    const { code, output } = await migrate(["--to", to()]);
    expect(code, output).toBe(EXIT.usage);
    expect(output).toMatch(says);
    expect(output).not.toContain("hunter2");
    expect(await runs()).toBe(true);
  });

  it("refuses while somebody else is connected, names him, and starts the API again", async () => {
    const client = new pg.Client({ connectionString: source.url(SOURCE), application_name: "a report" });
    await client.connect();
    const { code, output } = await migrate(["--to", url()]).finally(() => client.end());
    expect(code, output).toBe(EXIT.busy);
    expect(output).toMatch(/Somebody is still connected to budgie_dev .*a report/);
    await nothingMoved();
  });

  it("refuses while a transaction is prepared", async () => {
    await here("BEGIN; INSERT INTO entries (user_id, amount) VALUES (1, 1); PREPARE TRANSACTION 'half'");
    const { code, output } = await migrate(["--to", url()]).finally(() => here("ROLLBACK PREPARED 'half'"));
    expect(code, output).toBe(EXIT.busy);
    expect(output).toContain("COMMIT PREPARED");
    await nothingMoved();
  });

  it("throws the copy away where somebody came, wrote, and went meanwhile", async () => {
    const running = start(["--yes", "--to", url()]);
    let seen = "";
    let written: Promise<unknown> | null = null;
    running.all?.on("data", chunk => {
      seen += chunk.toString();
      const cutOver = seen.indexOf("Stopping ");
      if (cutOver >= 0 && seen.includes("Loading budgie_", cutOver))
        written ??= here("INSERT INTO entries (user_id, amount) VALUES (1, 99)");
    });
    const { exitCode, all } = await running;
    await written;
    expect(exitCode, all).toBe(EXIT.busy);
    expect(all).toMatch(/Somebody (wrote into|is still connected to) budgie_dev/);
    expect(await databases()).toEqual([TARGET]);
    expect(await there("SELECT FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
    expect(await runs()).toBe(true);
  });

  it.each(SLOW ? MOMENTS : MOMENTS.slice(1, 2))(
    "killed -9, the agent and the command, at %j: nothing there passes for whole, and the same command goes on",
    async moment => {
      await here(
        "INSERT INTO entries (user_id, amount) SELECT 1 + n % 50, n FROM generate_series(1, 200000) n",
      );
      const running = start(["--yes", "--to", url()]);
      let seen = "";
      let killed: Promise<unknown> | null = null;
      running.all?.on("data", chunk => {
        seen += chunk.toString();
        const cutOver = seen.indexOf("Stopping ");
        if (killed || cutOver < 0 || !seen.includes(moment, cutOver)) return;
        running.kill("SIGKILL");
        killed = collectFromContainer(agent.container, [
          "sh",
          "-c",
          "for p in /proc/[0-9]*; do if tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q '[a]gent.cjs migrate'; then kill -9 $(basename $p); fi; done",
        ]);
      });
      await running;
      await killed;
      expect(killed, seen).not.toBeNull();
      expect(await there("SELECT FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
      expect(await here("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 202000 }]);
      const { code, output } = await migrate(["--to", url()]);
      expect(code, output).toBe(EXIT.done);
      expect(await there("SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 202000 }]);
      expect((await databases()).filter(name => String(name).includes("candidate"))).toEqual([]);
    },
  );

  it("never drops another's database of the name that it loads under", async () => {
    await there(`CREATE DATABASE ${TARGET}_candidate`, "postgres");
    await there("CREATE TABLE theirs AS SELECT 1 AS id", `${TARGET}_candidate`);
    const { code, output } = await migrate(["--to", url()]);
    expect(code, output).toBe(EXIT.notConfirmed);
    expect(output).toContain("has a database budgie_production_candidate");
    expect(await there("SELECT id FROM theirs", `${TARGET}_candidate`)).toEqual([{ id: 1 }]);
    expect(await runs()).toBe(true);
  });

  it("verify-full lets in the server with the right certificate under its name, and nobody else", async () => {
    const certificate = await giveCertificate(target, address, folder);
    const strange = await makeCertificate("10.99.99.99", folder, "strange");
    try {
      for (const [query, says] of [
        [`sslmode=verify-full&sslrootcert=${strange.certificate}`, /cannot be reached: .*certificate/i],
        ["sslmode=verify-full", /cannot be reached: .*certificate/i],
      ] as const) {
        const refused = await migrate(["--to", url({ query })]);
        expect(refused.code, refused.output).toBe(EXIT.databaseUnreachable);
        expect(refused.output).toMatch(says);
      }
      const required = await migrate(["--to", url({ query: "sslmode=require" }), "--rehearse"]);
      expect(required.code, required.output).toBe(EXIT.done);
      expect(required.output).toContain("nobody checks that it is");
      await there("ALTER SYSTEM SET log_connections = on");
      await there("SELECT pg_reload_conf()");
      const moved = await migrate(["--to", url({ query: `sslmode=verify-full&sslrootcert=${certificate}` })]);
      expect(moved.code, moved.output).toBe(EXIT.done);
      expect(moved.output).not.toMatch(/on the way to|nobody checks/);
      const connections = (await target.log())
        .split("\n")
        .filter(line => line.includes("application_name=budgie load"));
      expect(connections.length).toBeGreaterThan(0);
      expect(connections.filter(line => !line.includes("SSL enabled"))).toEqual([]);
    } finally {
      await there("ALTER SYSTEM RESET ssl", "postgres");
      await there("SELECT pg_reload_conf()", "postgres");
    }
  });
});
