import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { onTerminal } from "../support/agent/terminal.ts";
import { LIVE } from "../support/database/live.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const stack = `at-${randomBytes(4).toString("hex")}`;
const command = (...args: string[]) => ["scripts/budgie.mjs", "--stack", stack, "at", ...args];
const run = (...args: string[]) =>
  execa("node", command(...args), { all: true, reject: false, stdin: "ignore" });

describe("npx budgie at BACKUP psql", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let file: string;

  const places = async () => (await agent.exec(["ls", "/var/lib/postgresql/data"])).stdout.trim();
  const servers = async () => (await agent.exec(["ps", "-o", "args"])).stdout.match(/throw-away-look/g) ?? [];

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: LIVE } });
    await query(postgres, LIVE, "CREATE TABLE entries AS SELECT generate_series(1, 10) AS id");
    agent = await startAgent(postgres, {
      database: LIVE,
      labels: { "budgie.stack": stack, "budgie.prefix": stack, "budgie.role": "backup-agent" },
    });
    file = (await takeBackup(agent)).file;
    await query(postgres, LIVE, "DELETE FROM entries WHERE id > 3");
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it("shows what was there then, read-only, and leaves nothing", async () => {
    const { exitCode, stdout, all } = await run(file, "psql", "--", "-Atc", "SELECT count(*) FROM entries");
    expect(exitCode, all).toBe(EXIT.done);
    expect(stdout.trim()).toBe("10");
    const written = await run("latest", "psql", "--", "-c", "DELETE FROM entries");
    expect(written.exitCode, written.all).toBe(1);
    expect(written.all).toContain("cannot execute DELETE in a read-only transaction");
    expect(await query(postgres, LIVE, "SELECT count(*)::int AS n FROM entries")).toEqual([{ n: 3 }]);
    expect(await places()).toBe("");
  });

  it("takes SQL from standard input", async () => {
    const { stdout, all } = await execa("node", command(file, "psql", "--", "-At"), {
      input: "SELECT max(id) FROM entries;\n",
      all: true,
      reject: false,
    });
    expect(stdout.trim(), all).toBe("10");
  });

  it("is left with \\q on a terminal", async () => {
    const { code, output } = await onTerminal(
      ["node", ...command(file, "psql")],
      [
        { to: "=# ", type: "SELECT 'rows: ' || count(*) FROM entries;\n" },
        { to: "rows: 10", type: "\\q\n" },
      ],
    );
    expect(code, output).toBe(EXIT.done);
    expect(output).toContain(`This is ${file}, read-only, until you leave it`);
    expect(await places()).toBe("");
  });

  it("refuses what there is not, what has no manifest, and what is damaged", async () => {
    expect((await run("budgie_20200101_000000.sql", "psql")).exitCode).toBe(EXIT.unusableBackup);
    const stray = join(agent.directory, "stray.sql");
    await writeFile(stray, "SELECT 1;");
    expect((await run("stray.sql", "psql")).exitCode).toBe(EXIT.unusableBackup);
    await rm(stray);
    const { file: damaged } = await takeBackup(agent);
    await agent.exec(["sh", "-c", `sed -i 's/^1$/7/' /backups/${damaged}`]);
    const refused = await run(damaged, "psql", "--", "-c", "SELECT 1");
    expect(refused.exitCode, refused.all).toBe(EXIT.unusableBackup);
    expect(refused.all).toContain(`npx budgie drill ${damaged}`);
    expect((await run(file, "vi")).exitCode).toBe(EXIT.usage);
    expect(await places()).toBe("");
  });

  it("goes when the command is killed, and what the agent's own end leaves is cleared away by the next operation", async () => {
    const looking = execa("node", command(file, "psql", "--", "-c", "SELECT pg_sleep(600)"), {
      reject: false,
      stdin: "ignore",
    });
    await until("the backup open", servers, found => found.length > 0, { withinMs: 60_000 });
    looking.kill("SIGKILL");
    await looking;
    await until("the server gone", servers, found => found.length === 0, { withinMs: 60_000 });

    await agent.killed(["open", "--", file], { afterText: "{" }, "held");
    expect(await places()).toBe("throw-away-look");
    expect((await agent.run(["prune"])).code).toBe(EXIT.done);
    expect(await places()).toBe("");
    expect(await servers()).toEqual([]);
  });
});
