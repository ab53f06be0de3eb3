import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { httpStatus } from "../../shared/http-status.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { type CommandResult, createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;

beforeAll(async () => {
  stack = await createStack();
  await stack.up();
  await stack.sql("CREATE TABLE kept AS SELECT 42 AS answer");
  await stack.sql("CREATE ROLE tester SUPERUSER LOGIN");
});

afterAll(async () => {
  await stack?.remove();
});

const up = () => stack.pulumi("up", "--yes", "--skip-preview");
const database = () => stack.docker.getContainer(`${stack.prefix}-db`);

/** In the database's container, whose socket asks for no password. */
async function inDatabase(script: string): Promise<void> {
  const run = await database().exec({ Cmd: ["sh", "-c", script], AttachStdout: true, AttachStderr: true });
  const stream = await run.start({});
  stream.resume();
  await new Promise(resolve => stream.on("end", resolve));
  expect((await run.inspect()).ExitCode).toBe(0);
}
const asTester = (sql: string) => inDatabase(`psql -XqU tester -d postgres -c "${sql}"`);

async function isWell(done: CommandResult): Promise<void> {
  expect(done.code, done.all).toBe(0);
  expect(await httpStatus(`${stack.url}/health`)).toBe(200);
  expect(await stack.sql("SELECT answer FROM kept")).toBe("42");
  const backup = await stack.budgie(["backup"]);
  expect(backup.code, backup.all).toBe(0);
  await stack.requireNoChange();
}

/** The first alone in the normal lane: `up` looks for each of them in the same way. */
const KEEPS_OUT = [
  ["all of it at once", "NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '2020-01-01' PASSWORD 'x'", "(NOLOGIN)"],
  [
    "its password is over",
    "VALID UNTIL '2020-01-01'",
    "was good until 2020-01-01 00:00:00+00 (VALID UNTIL). An `up` takes that back.",
  ],
  [
    "its password is another one",
    "PASSWORD 'by hand'",
    "was changed in the database. An `up` sets it again.",
  ],
  ["it may not log in", "NOLOGIN", "Somebody took the right to log in from budgie_user (NOLOGIN)."],
] as const;

it.each(SLOW ? KEEPS_OUT : KEEPS_OUT.slice(0, 1))(
  "lifts what keeps the stack's own role out, and says so: %s",
  async (_, change, says) => {
    await asTester(`ALTER ROLE budgie_user ${change}`);
    const backup = await stack.budgie(["backup"]);
    expect(backup.code).toBe(EXIT.databaseUnreachable);
    expect(backup.all).toContain("`npm run pulumi -- up`");
    const done = await up();
    expect(done.all).toContain(says);
    await isWell(done);
  },
);

itSlowly(
  "goes on where idle clients of its own role have every connection, and gates and commands do, too",
  async () => {
    await stack.sql("ALTER SYSTEM SET max_connections = 20");
    await stack.budgie(["restart", "db"]);
    // They end with the command that started them.
    const clients = "for i in $(seq 30); do (sleep 900 | psql -XqU budgie_user -d budgie_dev) & done; wait";
    await (await database().exec({ Cmd: ["sh", "-c", clients] })).start({ Detach: true });
    await inDatabase(
      'for i in $(seq 60); do psql -XqU tester -d postgres -c "" 2> /dev/null || exit 0; sleep 1; done; exit 1',
    );
    const status = await stack.budgie(["status"]);
    expect(status.code).toBe(EXIT.notFine);
    expect(status.all).toContain("all 20 connections are taken");
    for (const args of [["backup"], ["drill"], ["start", "db"]]) {
      const { code, all } = await stack.budgie(args);
      expect(code, all).toBe(EXIT.done);
    }
    // The gate: a destroy takes a backup before it removes the database.
    await stack.destroy();
    await stack.up();
    await stack.sql("ALTER SYSTEM RESET max_connections");
    await stack.budgie(["restart", "db"]);
    await isWell(await up());
  },
);

it("names the setting that is wrong for an API whose tables another one made, without a stack trace", async () => {
  await stack.sql("ALTER TABLE backend_migrations RENAME TO others_migrations");
  await stack.set("frontendUrl", "http://other.example.org");
  const refused = await up();
  await stack.sql("ALTER TABLE others_migrations RENAME TO backend_migrations");
  expect(refused.code).not.toBe(0);
  expect(refused.all).toContain("tables that another backend made");
  expect(refused.all).toContain("budgie:backendImage");
  expect(refused.all).not.toMatch(/^\s+at /m);
  await isWell(await up());
});

itSlowly("names the setting that is missing for an API that does not find its secrets", async () => {
  const image = `${stack.prefix}-reads-variables`;
  const failing = `if (!process.env.DB_PASSWORD) throw new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"); require("http").createServer((_, a) => a.end("{}")).listen(3001)`;
  const made = await stack.docker.createContainer({
    Image: "node:24-alpine",
    Cmd: ["node", "-e", failing],
    Entrypoint: [],
  });
  await made.commit({ repo: image, tag: "1" });
  await made.remove();
  await stack.set("backendImage", `${image}:1`);
  const refused = await up();
  expect(refused.code).not.toBe(0);
  expect(refused.all).toContain("client password must be a string");
  expect(refused.all).not.toMatch(/^\s+at \S+ \(/m);
  expect(refused.all).toContain("npm run pulumi -- config set budgie:backendSecretsInEnvironment true");
  await stack.set("backendSecretsInEnvironment", "true");
  await isWell(await up());
});

it("stops a database whose own files are damaged, and names the way on, which keeps them", async () => {
  await stack.budgie(["backup"]);
  await inDatabase("head -c 8192 /dev/urandom > /var/lib/postgresql/data/global/pg_control");
  await database().kill();
  await database().start();
  for (let left = 60; (await database().inspect()).RestartCount < 3 && left > 0; left--) await sleep(500);
  const refused = await up();
  expect(refused.code).not.toBe(0);
  expect(refused.all).toContain(`own files in the volume ${stack.prefix}-postgres-data are damaged`);
  expect(refused.all).not.toContain("initdb");
  const stopped = await stack.budgie(["stop", "db"]);
  expect(stopped.all).toContain(`${stack.prefix}-db is stopped`);
  expect((await database().inspect()).State).toMatchObject({ Running: false, Restarting: false });
  const started = await stack.budgie(["start", "db"]);
  expect(started.code).toBe(EXIT.failed);
  expect(started.all).toContain("ends by itself, and is started again and again");

  expect(refused.all).toContain(`npx budgie --stack ${stack.prefix} recover-volume`);
  const volume = `${stack.prefix}-postgres-data`;
  const recovered = await stack.budgie(["recover-volume", "--yes-recover", volume]);
  expect(recovered.code, recovered.all).toBe(EXIT.done);
  await isWell(await up());
  const [, kept = ""] = /is kept: (\S+)/.exec(recovered.all) ?? [];
  await stack.docker.getVolume(kept).remove();
});

it("stops a paused one, which hears no signal", async () => {
  await database().pause();
  const stopped = await stack.budgie(["stop", "db"]);
  expect(stopped.code, stopped.all).toBe(EXIT.done);
  expect((await database().inspect()).State).toMatchObject({ Running: false, Paused: false });
  expect((await stack.budgie(["start"])).code).toBe(EXIT.done);
  await isWell(await up());
});
