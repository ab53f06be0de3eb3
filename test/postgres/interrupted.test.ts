import { randomBytes } from "node:crypto";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { takeBackup } from "../support/agent/take-backup.ts";
import { onTerminal } from "../support/agent/terminal.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const stack = `interrupted-${randomBytes(4).toString("hex")}`;
const budgie = (...args: string[]) => ["scripts/budgie.mjs", "--stack", stack, ...args];

describe("npx budgie, told to end", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let file: string;

  const sql = (text: string) => query(postgres, "budgie_dev", text);

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await sql(
      "CREATE TABLE entries AS SELECT id, repeat('x', 200) AS note FROM generate_series(1, 600000) AS id",
    );
    const directory = await mkdtemp(join(tmpdir(), "budgie-interrupted-"));
    agent = await startAgent(postgres, {
      database: "budgie_dev",
      directory,
      labels: {
        "budgie.stack": stack,
        "budgie.prefix": stack,
        "budgie.role": "backup-agent",
        "budgie.backup-dir": directory,
      },
    });
    ({ file } = await takeBackup(agent));
    await sql("DELETE FROM entries WHERE id > 10");
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  /** Starts a command, and sends it the signal when it has said the text. */
  async function told(signal: NodeJS.Signals, when: string, ...args: string[]) {
    const running = execa("node", budgie(...args), { all: true, reject: false, stdin: "ignore" });
    running.all.on("data", function once(chunk: Buffer) {
      if (!chunk.toString().includes(when)) return;
      running.all.off("data", once);
      running.kill(signal);
    });
    const { exitCode, all } = await running;
    return { code: exitCode, all };
  }

  async function nothingIsLeft(): Promise<void> {
    const { stdout } = await agent.exec([
      "sh",
      "-c",
      "ps -o args | grep -E 'psql|pg_dump|pg_restore' | grep -v grep; true",
    ]);
    expect(stdout).toBe("");
    expect(await sql("SELECT datname FROM pg_database WHERE datname LIKE 'budgie_dev_%'")).toEqual([]);
    expect((await readdir(agent.directory)).filter(name => /incoming|partial/.test(name))).toEqual([]);
  }

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "by %s, a restore ends inside as well, and the database is as it was",
    async signal => {
      const { code, all } = await told(signal, "Step 2/5", "restore", file, "--yes");

      expect(code, all).toBe(EXIT.interrupted);
      expect(all).toContain(`${signal}: ending the command inside the container`);
      expect(all).toContain("before it was done. The database is as it was.");
      expect((await sql("SELECT count(*)::int AS n FROM entries"))[0]?.n).toBe(10);
      await nothingIsLeft();
    },
  );

  it("a backup leaves no file that looks like one", async () => {
    await sql("INSERT INTO entries SELECT id, repeat('y', 200) FROM generate_series(11, 600000) AS id");
    const before = (await readdir(agent.directory)).sort();
    const { code, all } = await told("SIGTERM", "Backup file", "backup");
    expect(code, all).toBe(EXIT.interrupted);
    expect((await readdir(agent.directory)).sort()).toEqual(before);
    await nothingIsLeft();
    await sql("DELETE FROM entries WHERE id > 10");
  });

  it("by Ctrl-C on a terminal, a restore ends in the same way", async () => {
    const { code, output } = await onTerminal(
      ["node", ...budgie("restore", file, "--yes")],
      [{ to: "Step 2/5", type: "\u0003" }],
    );
    expect(code, output).toBe(EXIT.interrupted);
    expect(output).toContain("The database is as it was.");
    await nothingIsLeft();
  });

  it("twice, it goes at once and says that the command may go on", async () => {
    const running = execa("node", budgie("restore", file, "--yes"), {
      all: true,
      reject: false,
      stdin: "ignore",
    });
    let seen = "";
    running.all.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await until(
      "the second step",
      async () => seen,
      text => text.includes("Step 2/5"),
      { withinMs: 60_000 },
    );
    running.kill("SIGTERM");
    running.kill("SIGINT");
    const { exitCode, all } = await running;
    expect(exitCode).toBe(EXIT.interrupted);
    expect(all).toMatch(
      /the command may go on inside the container. Watch it with `npx budgie status`|ending the command/,
    );
    const idle = async () =>
      (await agent.exec(["sh", "-c", "ps -o args | grep -c '[a]gent.cjs restore' || true"])).stdout.trim();
    await until("the end of the restore", idle, count => count === "0", { withinMs: 60_000 });
    // Whether it heard the first signal or not: all of it, or nothing.
    expect([10, 600_000]).toContain((await sql("SELECT count(*)::int AS n FROM entries"))[0]?.n);
  });

  it("a list that nobody reads to its end says nothing of it", async () => {
    const { stderr, stdout, exitCode } = await execa("sh", [
      "-c",
      `node ${budgie("list").join(" ")} | head -1; node ${budgie("--help").join(" ")} | true`,
    ]);
    expect(exitCode).toBe(0);
    expect(stderr).toBe("");
    expect(stdout.split("\n")).toHaveLength(1);
  });

  it("a container that is removed meanwhile is told, with where to look", async () => {
    const running = execa("node", budgie("restore", file, "--yes"), {
      all: true,
      reject: false,
      stdin: "ignore",
    });
    running.all.on("data", function once(chunk: Buffer) {
      if (!chunk.toString().includes("Step 2/5")) return;
      running.all.off("data", once);
      void agent.container.kill();
    });
    const { exitCode, all } = await running;
    expect([EXIT.engineOrContainerMissing, 137]).toContain(exitCode);
    expect(all).toMatch(/connection to the container engine was lost|was killed inside the container/);
  });
});
