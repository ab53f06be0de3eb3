import { once } from "node:events";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BackendBundle, bundleBackend, type TestBackend } from "../support/backend.ts";
import { query as sqlIn } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const PASSWORD = "canary-of-ann";
const SECRET = "canary-secret-of-the-session";

let postgres: TestPostgres;
let bundle: BackendBundle;
let backend: TestBackend;

beforeAll(async () => {
  [postgres, bundle] = await Promise.all([
    startPostgres({ env: { POSTGRES_DB: "budgie_dev" } }),
    bundleBackend(),
  ]);
  backend = await bundle.start(environment());
  await backend.ready();
});
afterAll(async () => {
  await bundle?.remove();
  await postgres?.stop();
});

const environment = (database = "budgie_dev") => ({
  DB_HOST: postgres.host,
  DB_PORT: String(postgres.port),
  DB_NAME: database,
  DB_USER: postgres.user,
  DB_PASSWORD: postgres.password,
  SESSION_SECRET: SECRET,
});

/** A visitor with a browser, which keeps the session cookie. */
class Visitor {
  cookie = "";
  constructor(readonly server: () => TestBackend = () => backend) {}

  async call(method: string, path: string, body?: object) {
    const response = await fetch(`${this.server().url}${path}`, {
      method,
      headers: {
        ...(this.cookie === "" ? {} : { cookie: this.cookie }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const [cookie] = response.headers.getSetCookie();
    if (cookie !== undefined) this.cookie = cookie.split(";")[0] ?? "";
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? {} : JSON.parse(text) };
  }
  get = (path: string) => this.call("GET", path);
  post = (path: string, body?: object) => this.call("POST", path, body);
  patch = (path: string, body: object) => this.call("PATCH", path, body);
  delete = (path: string) => this.call("DELETE", path);
}

let people = 0;
async function registered(): Promise<Visitor & { email: string }> {
  const email = `visitor${++people}@example.org`;
  const visitor = Object.assign(new Visitor(), { email });
  const person = { email, first_name: "Ann", last_name: "Bee", password: PASSWORD };
  expect((await visitor.post("/api/auth/register", person)).status).toBe(201);
  return visitor;
}

function sql(database: string, text: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
  return sqlIn(postgres, database, text, values);
}

async function inDatabaseContainer(script: string): Promise<void> {
  const exec = await postgres.container.exec({
    Cmd: ["sh", "-ec", script],
    Env: [`PGPASSWORD=${postgres.password}`, `PGUSER=${postgres.user}`, "PGHOST=127.0.0.1"],
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({});
  stream.resume();
  await once(stream, "end");
  expect((await exec.inspect()).ExitCode).toBe(0);
}

const withOutput = { log: () => backend.output() };

async function untilHealthy(what: string, visitor: Visitor): Promise<void> {
  await until(
    what,
    () => visitor.get("/health"),
    ({ status }) => status === 200,
    withOutput,
  );
}

describe("signing in", () => {
  it("a new user is signed in at once, signs out, and signs in again", async () => {
    const ann = new Visitor();
    const person = {
      email: "Ann@Example.org",
      first_name: " Ann ",
      last_name: "Bee",
      password: PASSWORD,
    };
    const created = await ann.post("/api/auth/register", person);
    expect(created.status).toBe(201);
    expect(created.body).toEqual({
      user: {
        id: expect.any(Number),
        email: "Ann@Example.org",
        first_name: "Ann",
        last_name: "Bee",
        created_at: expect.any(String),
      },
    });
    const cookie = created.headers.getSetCookie()[0];
    expect(cookie).toContain("HttpOnly");
    expect(cookie).toContain("SameSite=Lax");
    expect((await ann.get("/api/auth/check")).body).toEqual({ authenticated: true, ...created.body });
    expect((await ann.get("/api/auth/me")).body).toEqual(created.body);

    const oldCookie = ann.cookie;
    expect((await ann.post("/api/auth/logout")).status).toBe(204);
    expect((await ann.get("/api/auth/check")).body).toEqual({ authenticated: false });
    ann.cookie = oldCookie;
    expect((await ann.get("/api/auth/me")).status).toBe(401);

    const login = await ann.post("/api/auth/login", { email: "ann@example.ORG", password: PASSWORD });
    expect(login.status).toBe(200);
    expect(login.body).toEqual(created.body);
    expect((await ann.get("/api/auth/check")).body.authenticated).toBe(true);
  });

  it("an e-mail address is registered once, in whatever case", async () => {
    const { email } = await registered();
    const again = await new Visitor().post("/api/auth/register", {
      email: email.toUpperCase(),
      first_name: "Ann",
      last_name: "Bee",
      password: PASSWORD,
    });
    expect(again.status).toBe(409);
    expect(again.body).toEqual({ error: "This e-mail address is already registered." });
    expect(again.headers.getSetCookie()).toEqual([]);
  });

  it("a wrong password and an unknown user get the same answer", async () => {
    const { email } = await registered();
    const wrong = await new Visitor().post("/api/auth/login", { email, password: "canary-wrong" });
    const unknown = await new Visitor().post("/api/auth/login", { email: "no@example.org", password: "x" });
    expect(wrong.status).toBe(401);
    expect(unknown.status).toBe(401);
    expect(unknown.body).toEqual(wrong.body);
  });

  it("neither passwords nor session tokens are in the database or in the log", async () => {
    const ann = await registered();
    const token = ann.cookie.split("=")[1] ?? "";
    const stored = JSON.stringify(await sql("budgie_dev", "SELECT u.*, s.* FROM users u, sessions s"));
    for (const secret of [PASSWORD, token, SECRET, postgres.password]) {
      expect(secret.length).toBeGreaterThan(8);
      expect(stored).not.toContain(secret);
      expect(backend.output()).not.toContain(secret);
    }
  });
});

describe("ledgers and transactions", () => {
  it("are created, listed, changed and deleted", async () => {
    const ann = await registered();
    const { ledger } = (await ann.post("/api/ledgers", { name: "Household" })).body;
    expect(ledger).toMatchObject({ name: "Household", description: "" });
    const rent = await ann.post("/api/transactions", {
      ledger_id: ledger.id,
      date: "2025-11-25",
      description: "Rent",
      debit_amount: 950.5,
      credit_amount: "0.10",
    });
    expect(rent.status).toBe(201);
    expect(rent.body.transaction).toMatchObject({
      ledger_id: ledger.id,
      date: "2025-11-25",
      description: "Rent",
      debit_amount: "950.50",
      credit_amount: "0.10",
      is_paid: false,
      is_cleared: false,
    });
    const { id } = rent.body.transaction;
    const paid = await ann.patch(`/api/transactions/${id}`, { is_paid: true, debit_amount: "951" });
    expect(paid.body.transaction).toMatchObject({
      description: "Rent",
      debit_amount: "951.00",
      is_paid: true,
    });
    expect((await ann.get(`/api/transactions?ledger_id=${ledger.id}`)).body.transactions).toEqual([
      paid.body.transaction,
    ]);
    expect((await ann.get(`/api/transactions/${id}`)).body).toEqual(paid.body);

    const renamed = await ann.patch(`/api/ledgers/${ledger.id}`, { description: "Flat" });
    expect(renamed.body.ledger).toMatchObject({ name: "Household", description: "Flat" });
    expect((await ann.get("/api/ledgers")).body.ledgers).toEqual([renamed.body.ledger]);

    expect((await ann.delete(`/api/transactions/${id}`)).status).toBe(204);
    expect((await ann.get(`/api/transactions/${id}`)).status).toBe(404);
    expect((await ann.delete(`/api/ledgers/${ledger.id}`)).status).toBe(204);
    expect((await ann.get("/api/ledgers")).body).toEqual({ ledgers: [] });
  });

  it("of another user do not exist", async () => {
    const ann = await registered();
    const eve = await registered();
    const { ledger } = (await ann.post("/api/ledgers", { name: "Ann's" })).body;
    const entry = { ledger_id: ledger.id, date: "2025-11-25", description: "Gift" };
    const { transaction } = (await ann.post("/api/transactions", entry)).body;
    const own = (await eve.post("/api/ledgers", { name: "Eve's" })).body.ledger;
    const eves = (await eve.post("/api/transactions", { ...entry, ledger_id: own.id })).body.transaction;

    const tries = [
      eve.get(`/api/ledgers/${ledger.id}`),
      eve.patch(`/api/ledgers/${ledger.id}`, { name: "Mine" }),
      eve.delete(`/api/ledgers/${ledger.id}`),
      eve.post("/api/transactions", entry),
      eve.get(`/api/transactions/${transaction.id}`),
      eve.patch(`/api/transactions/${transaction.id}`, { description: "Mine" }),
      eve.patch(`/api/transactions/${eves.id}`, { ledger_id: ledger.id }),
      eve.delete(`/api/transactions/${transaction.id}`),
    ];
    for (const { status } of await Promise.all(tries)) expect(status).toBe(404);
    expect((await eve.get("/api/transactions")).body.transactions).toEqual([eves]);
    expect((await ann.get(`/api/ledgers/${ledger.id}`)).body).toEqual({ ledger });
    expect((await ann.get("/api/transactions")).body.transactions).toEqual([transaction]);
    expect((await new Visitor().get("/api/ledgers")).status).toBe(401);
  });

  it("with values that cannot be are refused by field", async () => {
    const ann = await registered();
    const { ledger } = (await ann.post("/api/ledgers", { name: "Household" })).body;
    const bad = await ann.post("/api/transactions", {
      ledger_id: "1",
      date: "2025-02-31",
      description: "Rent",
      credit_amount: 0.001,
      debit_amount: "-1",
      is_paid: "yes",
    });
    expect(bad.status).toBe(400);
    expect(bad.body.details.map((detail: { field: string }) => detail.field)).toEqual([
      "ledger_id",
      "date",
      "credit_amount",
      "debit_amount",
      "is_paid",
    ]);
    const impossible = { ledger_id: ledger.id, date: "2025-11-25", description: "a\u0000b" };
    expect((await ann.post("/api/transactions", impossible)).status).toBe(400);
    expect((await ann.patch(`/api/ledgers/${ledger.id}`, {})).status).toBe(400);
    expect((await ann.get("/api/ledgers/abc")).body.error).toBe("id must be a number.");
    expect((await ann.get("/api/ledgers/999999999999999")).status).toBe(404);
  });
});

describe("when the database goes away", () => {
  it("health turns 503 and requests are told to come back; both recover by themselves", async () => {
    const ann = await registered();
    await postgres.container.stop();
    const health = await ann.get("/health");
    expect(health).toMatchObject({ status: 503, body: { status: "unavailable" } });
    const refused = await ann.post("/api/ledgers", { name: "Lost" });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);

    await postgres.container.start();
    await untilHealthy("health 200 again", ann);
    expect((await ann.get("/api/ledgers")).body).toEqual({ ledgers: [] });
    expect(backend.process.exitCode).toBeNull();
  });

  it("health answers 503 within seconds when the database hangs", async () => {
    const ann = await registered();
    await postgres.container.pause();
    const before = Date.now();
    const { status } = await ann.get("/health");
    const took = Date.now() - before;
    await postgres.container.unpause();
    expect(status).toBe(503);
    expect(took).toBeLessThan(5000);
    await untilHealthy("health 200 again", ann);
  });

  it("sessions ended by the administrator are not noticed by readers", async () => {
    const ann = await registered();
    for (let round = 0; round < 10; round++) {
      const [status] = await Promise.all([
        ann.get("/api/ledgers").then(response => response.status),
        endSessions(),
      ]);
      expect(status).toBe(200);
    }
    expect(backend.process.exitCode).toBeNull();
  });

  it("another database swapped in under load is served by the same process", async () => {
    const ann = await registered();
    const { ledger } = (await ann.post("/api/ledgers", { name: "before" })).body;
    await sql("postgres", "CREATE DATABASE candidate");
    await inDatabaseContainer("pg_dump budgie_dev | psql -qX -v ON_ERROR_STOP=1 -d candidate > /dev/null");
    await sql("candidate", "UPDATE ledgers SET name = 'after' WHERE id = $1", [ledger.id]);

    let swapped = false;
    let stop = false;
    const names: string[] = [];
    const statuses = new Set<number>();
    const load = Array.from({ length: 6 }, async () => {
      while (!stop) {
        const early = !swapped;
        const read = await ann.get(`/api/ledgers/${ledger.id}`);
        statuses.add(read.status);
        if (read.status === 200 && !early) names.push(read.body.ledger.name);
        const entry = { ledger_id: ledger.id, date: "2025-11-25", description: "load" };
        statuses.add((await ann.post("/api/transactions", entry)).status);
      }
    });
    try {
      await swapByRename();
      swapped = true;
      await until(
        "a hundred reads after the swap",
        () => names.length,
        reads => reads > 100,
        withOutput,
      );
    } finally {
      stop = true;
      await Promise.all(load);
    }

    expect(new Set(names)).toEqual(new Set(["after"]));
    for (const status of statuses) expect([200, 201, 503]).toContain(status);
    expect((await ann.get("/health")).status).toBe(200);
    expect(backend.process.exitCode).toBeNull();
  });
});

/**
 * Does both renames in one transaction. While the first waits for its database's sessions to end, its lock already keeps new
 * ones out. So it succeeds once the sessions are ended from outside.
 */
async function swapByRename(): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.url("postgres") });
  await client.connect();
  await client.query("BEGIN");
  let renamed = false;
  const renaming = client.query("ALTER DATABASE budgie_dev RENAME TO budgie_dev_before").then(() => {
    renamed = true;
  });
  await until(
    "the rename",
    async () => {
      await endSessions();
      return renamed;
    },
    done => done,
    withOutput,
  );
  await renaming;
  await client.query("ALTER DATABASE candidate RENAME TO budgie_dev");
  await client.query("COMMIT");
  await client.end();
}

function endSessions() {
  return sql(
    "postgres",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'budgie_dev' AND pid <> pg_backend_pid()",
  );
}

describe("starting", () => {
  it("again keeps everybody signed in, and closes cleanly before, although requests are under way", async () => {
    const ann = await registered();
    let stopping = false;
    const load = Array.from({ length: 6 }, async () => {
      while (!stopping) await ann.post("/api/ledgers", { name: "load" }).catch(() => {});
    });
    const ledgers = async () => (await ann.get("/api/ledgers")).body.ledgers.length;
    await until("the load runs", ledgers, count => count > 50, withOutput);
    const closed = backend.stop();
    stopping = true;
    expect(await closed).toBe(0);
    await Promise.all(load);
    backend = await bundle.start(environment());
    await backend.ready();
    expect((await ann.get("/api/auth/check")).body).toMatchObject({
      authenticated: true,
      user: { email: ann.email },
    });
  });

  it("before the database waits for it", async () => {
    await postgres.container.stop();
    const early = await bundle.start(environment());
    await until("it waits", early.output, output => output.includes("waiting for the database"));
    await postgres.container.start();
    await early.ready();
    expect(await early.stop()).toBe(0);
    await untilHealthy("the first backend is back", new Visitor());
  });

  it("told to close beside others serves on for as long as it was told, and asks its clients to connect anew", async () => {
    const one = await bundle.start({ ...environment(), DRAIN_SECONDS: "3" });
    await one.ready();
    const before = await fetch(`${one.url}/health`);
    expect(before.headers.get("keep-alive")).toBe("timeout=5");
    const closed = one.stop();
    await until("it was told", one.output, output => output.includes("SIGTERM: closing"));
    const during = await fetch(`${one.url}/health`);
    expect(during.status).toBe(200);
    expect(during.headers.get("connection")).toBe("close");
    expect(await closed).toBe(0);
  });

  it("several at once on an empty database migrates it once", async () => {
    await sql("postgres", "CREATE DATABASE empty");
    const three = await Promise.all([1, 2, 3].map(() => bundle.start(environment("empty"))));
    await Promise.all(three.map(one => one.ready()));
    const migrations = await sql("empty", "SELECT name FROM backend_migrations ORDER BY name");
    expect(migrations.map(({ name }) => name)).toEqual([
      "0001-users-and-sessions",
      "0002-ledgers-and-transactions",
    ]);
    expect(three.filter(one => one.output().includes("0001-users-and-sessions"))).toHaveLength(1);
    expect(await Promise.all(three.map(one => one.stop()))).toEqual([0, 0, 0]);
  });

  it("on another program's tables is refused, and they stay as they were", async () => {
    await sql("postgres", "CREATE DATABASE foreign_tables");
    await sql("foreign_tables", "CREATE TABLE users (uuid text)");
    const refused = await bundle.start(environment("foreign_tables"));
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toMatch(/^budgie-backend: .*tables that another backend made.*\n$/m);
    const tables = await sql("foreign_tables", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    expect(tables).toEqual([{ tablename: "users" }]);
  });

  it("with a migration that fails ends at once, with one line, and keeps nothing of it", async () => {
    await sql("postgres", "CREATE DATABASE unfit");
    const was = await bundle.start(environment("unfit"));
    await was.ready();
    expect(await was.stop()).toBe(0);
    const later = await bundleBackend([
      { name: "0003-notes", sql: "ALTER TABLE users ADD note text" },
      {
        name: "0004-unfit",
        sql: "CREATE TABLE half (id int); INSERT INTO half VALUES (1); ALTER TABLE half ADD CHECK (id > 1)",
      },
    ]);
    try {
      const startedAt = Date.now();
      const refused = await later.start(environment("unfit"));
      expect(await refused.ended).toBe(1);
      expect(refused.output()).toMatch(
        /^budgie-backend: .* the migration 0004-unfit failed, and nothing of it was kept: check constraint "half_id_check" .* is violated by some row$/m,
      );
      expect(refused.output()).not.toContain("waiting for the database");
      expect(Date.now() - startedAt).toBeLessThan(45_000);
    } finally {
      await later.remove();
    }
    const tables = await sql("unfit", "SELECT to_regclass('half') IS NULL AS gone");
    expect(tables).toEqual([{ gone: true }]);
    const older = await bundle.start(environment("unfit"));
    expect(await older.ended).toBe(1);
    expect(older.output()).toContain("migrated by a newer backend (0003-notes)");
  });

  it("on a database that a newer backend migrated is refused", async () => {
    await sql("empty", "INSERT INTO backend_migrations (name) VALUES ('9999-future')");
    const refused = await bundle.start(environment("empty"));
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toContain("migrated by a newer backend (9999-future)");
  });

  it("without its settings ends with one line and exit code 2", async () => {
    const { DB_HOST: _, ...rest } = environment();
    const refused = await bundle.start(rest);
    expect(await refused.ended).toBe(2);
    expect(refused.output()).toBe("budgie-backend: The environment is not complete: DB_HOST is missing.\n");
  });
});
