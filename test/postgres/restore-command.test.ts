import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../shared/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent/agent.ts";
import { type Answer, onTerminal } from "../support/agent/terminal.ts";
import { query } from "../support/database/query.ts";
import { placeInNetwork } from "../support/servers/container-address.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";
import { until } from "../support/until.ts";

const docker = new Docker();
const stack = `restore-${randomBytes(4).toString("hex")}`;
const command = (...args: string[]) => ["node", "scripts/budgie.mjs", "--stack", stack, "restore", ...args];
const onTheTerminal = (args: string[], answers: Answer[]) => onTerminal(command(...args), answers);
const labels = (role: string) => ({ "budgie.stack": stack, "budgie.prefix": stack, "budgie.role": role });

/** Without a terminal, as cron and CI run it. */
const run = async (...args: string[]) => {
  const [program = "", ...rest] = command(...args);
  const { exitCode, all } = await execa(program, rest, { all: true, reject: false, stdin: "ignore" });
  return { code: exitCode, output: all };
};

async function startContainer(role: string, script: string): Promise<Docker.Container> {
  const container = await docker.createContainer({
    Image: "postgres:16-alpine",
    Cmd: ["sh", "-c", script],
    Labels: { "budgie.test": "true", ...labels(role) },
    HostConfig: { RestartPolicy: { Name: "unless-stopped" }, Init: true },
  });
  await container.start();
  return container;
}

describe("npx budgie restore", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  let backend: Docker.Container;
  let older: string;
  let newer: string;

  const sql = (text: string) => query(postgres, "budgie_dev", text);
  const entries = async () => (await sql("SELECT count(*)::int AS n FROM entries"))[0]?.n;
  const backup = async (): Promise<string> => JSON.parse((await agent.run(["backup", "--json"])).stdout).file;
  const local = (name: string) => join(agent.directory, name);

  beforeAll(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    await sql("CREATE TABLE entries AS SELECT generate_series(1, 10) AS id");
    const directory = await mkdtemp(join(tmpdir(), "budgie-restore-command-"));
    agent = await startAgent(postgres, {
      database: "budgie_dev",
      directory,
      labels: { ...labels("backup-agent"), "budgie.backup-dir": directory },
    });
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  afterEach(() => backend?.remove({ force: true }));

  describe("of the latest, where a newer one does not count", () => {
    beforeEach(async () => {
      await agent.clear();
      await sql("TRUNCATE entries; INSERT INTO entries SELECT generate_series(1, 10)");
      older = await backup();
      await sql("INSERT INTO entries SELECT generate_series(11, 20)");
      newer = await backup();
      await rm(local(newer.replace(".sql", ".json")));
      backend = await startContainer("backend", "sleep infinity");
    });

    it("asks on a terminal, and does nothing at a no", async () => {
      const { code, output } = await onTheTerminal(["latest"], [{ to: "Restore budgie_", type: "n\n" }]);
      expect(code, output).toBe(EXIT.notConfirmed);
      expect(output).toContain(`newer ones do not count: ${newer} (no manifest)`);
      expect(output).toMatch(new RegExp(`Restore ${older} of .* ago\\?`));
      expect(output).toContain("Nothing was restored");
      expect(await entries()).toBe(20);
    });

    it("asks on a terminal, and goes on at a yes; nothing is asked twice", async () => {
      const { code, output } = await onTheTerminal(
        ["latest"],
        [
          { to: "Restore budgie_", type: "y\n" },
          { to: "Restart the backend now?", type: "n\n" },
        ],
      );
      expect(code, output).toBe(EXIT.done);
      expect(output).toContain("Database restored. Tables: 1, rows: 10");
      expect(await entries()).toBe(10);
    });

    it("refuses with --yes, which decides nothing but the restart, and goes on with --allow-older", async () => {
      for (const refused of [
        await run("latest"),
        await run("latest", "--yes"),
        await run("latest", "--json"),
      ]) {
        expect(refused.code, refused.output).toBe(EXIT.notConfirmed);
        expect(refused.output).toContain("npx budgie restore latest --allow-older");
      }
      expect(await entries()).toBe(20);
      const { code, output } = await run("latest", "--yes", "--allow-older");
      expect(code, output).toBe(EXIT.done);
      expect(output).toContain(`latest is ${older}`);
      expect(output).toContain(`Passed over, although it is newer: ${newer} (no manifest)`);
      expect(await entries()).toBe(10);
    });

    it("asks nothing more on a terminal when there is nothing to decide", async () => {
      await rm(local(newer));
      const { code, output } = await onTheTerminal(
        ["latest"],
        [{ to: "Restart the backend now?", type: "n\n" }],
      );
      expect(code, output).toBe(EXIT.done);
      expect(output).toContain(`latest is ${older}`);
      expect(output.match(/\?.*Restore/g)).toBeNull();
    });

    it("calls a file by the path that was typed, wherever it lies", async () => {
      const folder = await mkdtemp(join(tmpdir(), "old ledger "));
      const path = join(folder, "from the attic.sql");
      try {
        await writeFile(path, (await readFile(local(older))).subarray(0, 500));
        const cut = await run(path);
        expect(cut.code, cut.output).toBe(EXIT.unusableBackup);
        expect(cut.output).toContain(`${path} is cut off`);
        // An exact copy would be recognised as this stack's own.
        await writeFile(path, `${await readFile(local(older), "utf8")}-- kept since\n`);
        const whole = await run(path, "--trust-file");
        expect(whole.code, whole.output).toBe(EXIT.done);
        expect(whole.output).toContain(
          `${path} was not written by this stack and is loaded as it is, with all rights, because --trust-file says so`,
        );
        expect(cut.output + whole.output).not.toContain("standard input");
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  });

  describe("of what was set aside", () => {
    const dropPrevious = (...args: string[]) => [
      ...["node", "scripts/budgie.mjs", "--stack", stack, "drop-previous"],
      ...args,
    ];
    const aside = "budgie_dev_before_20250101_030000";
    const isThere = async () =>
      (await sql(`SELECT FROM pg_database WHERE datname = '${aside}'`)).length === 1;

    beforeEach(async () => {
      backend = await startContainer("backend", "sleep infinity");
    });

    it("deletes nothing at a no, and the database at a yes", async () => {
      await sql(`CREATE DATABASE ${aside}`);
      const no = await onTerminal(dropPrevious(aside), [{ to: "Delete for good?", type: "\n" }]);
      expect(no.code, no.output).toBe(EXIT.notConfirmed);
      expect(no.output).toContain(`This deletes for good: ${aside} (`);
      expect(await isThere()).toBe(true);
      const yes = await onTerminal(dropPrevious("--older-than", "30"), [
        { to: "Delete for good?", type: "y\n" },
      ]);
      expect(yes.code, yes.output).toBe(EXIT.done);
      expect(await isThere()).toBe(false);
    });

    it("refuses an age that is no number of days", async () => {
      const [program = "", ...rest] = dropPrevious("--older-than", "a month");
      const { exitCode, all } = await execa(program, rest, { all: true, reject: false, stdin: "ignore" });
      expect(exitCode, all).toBe(EXIT.usage);
      expect(all).toContain("Say how many days, for instance 30.");
    });
  });

  describe("while the backend restarts in a loop, with a migration that destroys what is restored", () => {
    let file: string;

    beforeAll(async () => {
      await agent.clear();
      await sql("DROP TABLE entries; CREATE TABLE entries AS SELECT generate_series(1, 10) AS id");
      file = await backup();
    });

    const startLooping = async (statement: string) => {
      const { address } = await placeInNetwork(postgres.container);
      const url = `postgres://budgie_user:${postgres.password}@${address}/budgie_dev`;
      backend = await startContainer(
        "backend",
        `psql ${url} -v ON_ERROR_STOP=1 -c "${statement}" && sleep infinity`,
      );
      const restarts = async () => (await backend?.inspect())?.RestartCount ?? 0;
      await until("two restarts of the backend", restarts, count => count >= 2, { everyMs: 100 });
    };

    it("holds it off, leaves it stopped where nobody can be asked, and says what comes first", async () => {
      await startLooping("DROP TABLE IF EXISTS entries; SELECT FROM nowhere");
      const { code, output } = await run(file);
      expect(code, output).toBe(EXIT.done);
      expect(output).toMatch(/ends by itself and restarts again and again\. It is stopped for the restore/);
      expect(output).toContain("Put the code back first that fits what was restored");
      expect(output).toContain("stays stopped. With the fitting code in place: npx budgie start backend");
      expect((await backend.inspect()).State.Status).toBe("exited");
      expect(await entries(), "nobody changed it again").toBe(10);
    });

    it("asks on a terminal before it starts it, and takes no for granted", async () => {
      await startLooping("SELECT FROM nowhere");
      const { code, output } = await onTheTerminal([file], [{ to: "Start the backend now?", type: "\n" }]);
      expect(code, output).toBe(EXIT.done);
      expect((await backend.inspect()).State.Status).toBe("exited");
      expect(await entries()).toBe(10);
    });

    it("starts it with --yes, for the restore may be what it lacked", async () => {
      await sql("DROP TABLE entries");
      await startLooping("SELECT FROM entries");
      const { code, output } = await run(file, "--yes");
      expect(code, output).toBe(EXIT.done);
      expect(output).toContain("is ready");
      expect((await backend.inspect()).State).toMatchObject({ Running: true, Restarting: false });
      expect(await entries()).toBe(10);
    });

    it.each([["--dry-run"], ["--into", "looking_back"]])("leaves it alone with %s", async (...flags) => {
      await startLooping("SELECT FROM nowhere");
      const { code, output } = await run(file, ...flags);
      expect(code, output).toBe(EXIT.done);
      expect(output).not.toContain("restarts again and again");
      expect(output).not.toContain("Step 5/5");
      const { State: state } = await backend.inspect();
      expect(state.Running || state.Restarting).toBe(true);
      await sql("DROP DATABASE IF EXISTS looking_back");
    });

    it("starts it again as it was when nothing was restored", async () => {
      await startLooping("SELECT FROM nowhere");
      const { code, output } = await run("budgie_20200101_000000.sql");
      expect(code, output).toBe(EXIT.unusableBackup);
      expect(output).toContain("is started again, as it was before");
      const { State: state } = await backend.inspect();
      expect(state.Running || state.Restarting).toBe(true);
    });
  });
});

describe("when the agent could not back up what is there", () => {
  const agents: Docker.Container[] = [];
  /** Ends as the agent does and prints its arguments. */
  const STAND_IN = `cat > /usr/local/bin/budgie-agent <<'END'
#!/bin/sh
echo "called with: $*"
case "$*" in *--without-safety-backup*) exit 0 ;; esac
echo "[✗] What is there could not be backed up." >&2
echo "    To go on without: npx budgie restore X --without-safety-backup" >&2
exit 9
END
chmod +x /usr/local/bin/budgie-agent; touch /ready; sleep infinity`;

  beforeAll(async () => {
    const container = await startContainer("backup-agent", STAND_IN);
    agents.push(container);
    const isReady = async () => {
      const exec = await container.exec({ Cmd: ["test", "-e", "/ready"] });
      await exec.start({ Detach: true });
      return (await exec.inspect()).ExitCode;
    };
    await until("the stand-in ready", isReady, code => code === 0, { everyMs: 100 });
  });

  afterAll(async () => {
    for (const container of agents) await container.remove({ force: true });
  });

  const SAFETY = { to: "Go on without a backup of what is there?" };
  const THEN_NO_RESTART = { to: "Restart the backend now?", type: "n\n" };

  it("asks on a terminal, and runs it again with the flag at a yes", async () => {
    const { code, output } = await onTheTerminal(
      ["budgie_20200101_000000.sql"],
      [{ ...SAFETY, type: "y\n" }, THEN_NO_RESTART],
    );
    expect(output).toContain("called with: restore --without-safety-backup budgie_20200101_000000.sql");
    expect(code, output).toBe(EXIT.done);
  });

  it("ends with the agent's code at a no, and without a terminal", async () => {
    const no = await onTheTerminal(["budgie_20200101_000000.sql"], [{ ...SAFETY, type: "n\n" }]);
    expect(no.code, no.output).toBe(EXIT.notConfirmed);
    const machine = await run("budgie_20200101_000000.sql", "--yes");
    expect(machine.code).toBe(EXIT.notConfirmed);
    expect(machine.output).toContain("--without-safety-backup");
    for (const { output } of [no, machine]) expect(output?.match(/called with/g)).toHaveLength(1);
  });

  it("sends a file anew", async () => {
    const path = join(tmpdir(), `budgie-${randomBytes(4).toString("hex")}.sql`);
    await writeFile(path, "-- a dump");
    const { output, code } = await onTheTerminal([path], [{ ...SAFETY, type: "y\n" }, THEN_NO_RESTART]);
    expect(output).toContain(`called with: restore --without-safety-backup - --shown=${path}`);
    expect(code, output).toBe(EXIT.done);
    await rm(path);
  });
});
