// `npx budgie migrate --to ssh://…`: two stacks' agents and servers, and a real OpenSSH server between the two.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { sshClient, type TestSshClient } from "../support/servers/ssh-client.ts";
import { startSshd, type TestSshd } from "../support/servers/sshd.ts";
import { until } from "../support/until.ts";

const docker = new Docker();
const mark = randomBytes(4).toString("hex");
const [OLD, NEW] = [`old-${mark}`, `new-${mark}`];
const DATABASE = "budgie_dev";
const labels = (stack: string, role: string) => ({
  "budgie.stack": stack,
  "budgie.prefix": stack,
  "budgie.role": role,
});

interface Side {
  postgres: TestPostgres;
  agent: TestAgent;
  backend: Docker.Container;
}

async function startSide(stack: string, key: string): Promise<Side> {
  const postgres = await startPostgres({
    env: { POSTGRES_DB: DATABASE },
    labels: labels(stack, "database"),
  });
  const directory = await mkdtemp(join(tmpdir(), "budgie-migrate-ssh-"));
  const agent = await startAgent(postgres, {
    database: DATABASE,
    stack,
    directory,
    manifestKey: key.repeat(64),
    labels: { ...labels(stack, "backup-agent"), "budgie.backup-dir": directory },
  });
  const backend = await docker.createContainer({
    Image: "postgres:16-alpine",
    Cmd: ["sleep", "infinity"],
    Labels: { "budgie.test": "true", ...labels(stack, "backend") },
    HostConfig: { RestartPolicy: { Name: "unless-stopped" }, Init: true },
  });
  await backend.start();
  return { postgres, agent, backend };
}

describe("npx budgie migrate --to ssh://…", () => {
  let old: Side;
  let other: Side;
  let sshd: TestSshd;
  let client: TestSshClient;
  /** The project's own: here it is the other machine's as well. */
  const project = process.cwd();

  const here = (text: string) => query(old.postgres, DATABASE, text);
  const there = (text: string) => query(other.postgres, DATABASE, text);
  const runs = async ({ backend }: Side) => (await backend.inspect()).State.Running;
  const start = (path: string, ...args: string[]) =>
    execa(
      "node",
      [
        ...["scripts/budgie.mjs", "--stack", OLD, "migrate", "--yes", "--to-stack", NEW],
        ...["--to", `ssh://${sshd.user}@${sshd.host}:${sshd.port}${path}`, ...args],
      ],
      {
        all: true,
        reject: false,
        stdin: "ignore",
        env: { PATH: client.pathBefore(process.env.PATH) },
      },
    );
  const migrate = async (path = project, ...args: string[]) => {
    const { exitCode, all } = await start(path, ...args);
    return { code: exitCode, output: all };
  };
  beforeAll(async () => {
    [old, other, sshd] = await Promise.all([
      startSide(OLD, "a"),
      startSide(NEW, "b"),
      startSshd({ shell: true }),
    ]);
    client = await sshClient(sshd);
  });

  beforeEach(async () => {
    await client.trust(sshd.hostKey);
    await old.agent.clear();
    await other.agent.clear();
    await here(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, password_hash text);
      INSERT INTO users (email, password_hash) SELECT 'user' || n, md5(n::text) FROM generate_series(1, 500) n`);
    await query(other.postgres, "postgres", `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
    await query(other.postgres, "postgres", `CREATE DATABASE ${DATABASE}`);
    await there(
      "CREATE TABLE users (id int, email text); CREATE TABLE backend_migrations AS SELECT '0001' AS name",
    );
    for (const { backend } of [old, other]) await backend.start().catch(() => undefined);
  });

  afterAll(async () => {
    for (const side of [old, other]) {
      await side?.backend.remove({ force: true });
      await side?.agent.stop();
      await side?.postgres.stop();
    }
    await sshd?.stop();
    await client?.stop();
  });

  it("moves every row through the other stack's own door, and the API here stays stopped", async () => {
    const { code, output } = await migrate();
    expect(code, output).toBe(EXIT.done);
    expect(output).toContain("database budgie_dev on PostgreSQL 16");
    expect(output).toMatch(/Writes will be stopped for about [\d.]+ s/);
    expect(output).toMatch(/holds it\. Tables: 1, rows: 500/);
    expect(output).toMatch(/was stopped to the end it took [\d.]+ s/);
    const digest = "SELECT md5(string_agg(u::text, ',' ORDER BY id)) AS digest FROM users u";
    expect(await there(digest)).toEqual(await here(digest));
    expect(await there("INSERT INTO users (email) VALUES ('new') RETURNING id")).toEqual([{ id: 501 }]);
    expect([await runs(old), await runs(other)]).toEqual([false, true]);
    expect(existsSync(join(project, ".budgie-migration"))).toBe(false);
    const again = await migrate();
    expect(again.code, again.output).toBe(EXIT.notConfirmed);
    expect(again.output).toMatch(/is not empty: it holds rows in public\.users/);
    expect(await there("SELECT count(*)::int AS n FROM users")).toEqual([{ n: 501 }]);
  });

  it("only rehearses when that is asked", async () => {
    const { code, output } = await migrate(project, "--rehearse");
    expect(code, output).toBe(EXIT.done);
    expect(await there("SELECT FROM users")).toEqual([]);
    expect([await runs(old), await runs(other)]).toEqual([true, true]);
  });

  it.each<[string, () => Promise<unknown>, () => string, number, RegExp]>([
    [
      "a server with another host key",
      () => client.trust(sshd.otherHostKey),
      () => project,
      EXIT.storeUnreachable,
      /Host key verification failed|cannot be reached over ssh/,
    ],
    [
      "a server whose host key nobody knows",
      () => client.forget(),
      () => project,
      EXIT.storeUnreachable,
      /host key is known here/,
    ],
    [
      "a folder without a stack",
      async () => undefined,
      () => tmpdir(),
      EXIT.failed,
      /No stack of Budgie answers/,
    ],
    [
      "a folder that is not there",
      async () => undefined,
      () => "/no/such/folder",
      EXIT.failed,
      /No stack of Budgie answers/,
    ],
    [
      "a stack that holds a row",
      () => there("INSERT INTO users VALUES (1, 'theirs')"),
      () => project,
      EXIT.notConfirmed,
      /holds rows in public\.users/,
    ],
  ])("refuses %s, and stops nothing", async (_what, make, path, exit, says) => {
    await make();
    const { code, output } = await migrate(path());
    expect(code, output).toBe(exit);
    expect(output).toMatch(says);
    expect([await runs(old), await runs(other)]).toEqual([true, true]);
  });

  it("a backup that the other stack cannot load stops nothing", async () => {
    await here(
      "CREATE ROLE gone_there; CREATE TABLE p (id int); ALTER TABLE p ENABLE ROW LEVEL SECURITY; CREATE POLICY x ON p TO gone_there",
    );
    try {
      const { code, output } = await migrate();
      expect(code, output).toBe(EXIT.failed);
      expect(output).toMatch(/does not take the backup: .*gone_there/);
      expect(await runs(old)).toBe(true);
      expect(await there("SELECT FROM users")).toEqual([]);
    } finally {
      await here("DROP TABLE p; DROP ROLE gone_there");
    }
  });

  it("where the way is lost while the other stack puts it in place, nobody writes here until somebody has looked", async () => {
    const restoring = () =>
      until(
        "the restore in the other stack",
        () =>
          other.agent.exec([
            "sh",
            "-c",
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[a]gent.cjs restore'",
          ]),
        ({ stdout }) => Number(stdout) > 0,
        { everyMs: 50 },
      );
    const running = start(project);
    let seen = "";
    let cut: Promise<unknown> | null = null;
    running.all?.on("data", chunk => {
      seen += chunk.toString();
      if (seen.includes("puts it in place")) cut ??= restoring().then(sshd.cutLogins);
    });
    const { exitCode, all } = await running;
    await cut;
    expect(exitCode, all).toBe(EXIT.storeUnreachable);
    expect(all).toContain("it is not known whether it is");
    expect(await runs(old)).toBe(false);
    expect(await here("SELECT count(*)::int AS n FROM users")).toEqual([{ n: 500 }]);
  });
});
