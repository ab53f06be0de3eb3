import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isBackupName } from "../../agent/manifest/backup-name.ts";
import { EXIT } from "../../shared/exit-codes.ts";
import { readSchedule } from "../../shared/schedule.ts";
import type { TestAgent } from "../support/agent/agent.ts";
import { RUN_MEMORY, startAgentDueYearly, YEARLY } from "../support/agent/due-yearly.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("the first backup, as `pulumi up` asks for it", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;

  beforeEach(async () => {
    postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
    agent = await startAgentDueYearly(postgres);
    await query(postgres, "budgie_dev", "CREATE TABLE kept AS SELECT generate_series(1, 10) AS n");
  });
  afterEach(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  const backups = async () => (await readdir(agent.directory)).filter(isBackupName).sort();
  const prove = async () => {
    const { code, stdout, stderr } = await agent.run(["prove-first-backup"]);
    expect(code, stdout + stderr).toBe(EXIT.done);
    return stdout;
  };

  it("is taken and proven when there is none, once, however often and by however many it is asked for", async () => {
    // The server is slow to accept connections. So some commands see no backup, and get the lock after another has taken one.
    await query(postgres, "budgie_dev", "ALTER SYSTEM SET post_auth_delay = '1s'");
    await query(postgres, "budgie_dev", "SELECT pg_reload_conf()");
    const answers = await Promise.all(
      Array.from({ length: 14 }, (_, number) => delay(number * 500).then(prove)),
    );
    answers.push(await prove());
    const names = await backups();
    expect(names).toHaveLength(1);
    for (const answer of answers) {
      expect(answer).toMatch(
        new RegExp(
          `^${names[0]}, proven \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC by restoring it \\(tables: 1, rows: 10\\)\n$`,
        ),
      );
    }
    const memory = JSON.parse(await readFile(join(agent.directory, RUN_MEMORY), "utf8"));
    const due = readSchedule(YEARLY, "UTC").upTo(new Date());
    expect(memory.served, "the schedule knows that its run was served").toBe(due.toISOString());
  });

  it("is the newest one that is there, when nobody has tried it yet", async () => {
    expect((await agent.run(["backup"])).code).toBe(EXIT.done);
    const names = await backups();
    expect(await prove()).toContain(`${names[0]}, proven`);
    expect(await backups()).toEqual(names);
  });

  it("is not one of before the tables were made, nor one that was found bad", async () => {
    await query(postgres, "budgie_dev", "DROP TABLE kept");
    expect((await agent.run(["backup"])).code).toBe(EXIT.done);
    expect((await agent.run(["drill"])).code).toBe(EXIT.done);
    await query(postgres, "budgie_dev", "CREATE TABLE kept AS SELECT generate_series(1, 10) AS n");
    expect(await prove()).toContain("(tables: 1, rows: 10)");
    expect(await backups()).toHaveLength(2);

    const [, good = ""] = await backups();
    const path = join(agent.directory, good);
    await rm(join(agent.directory, good.replace(".sql", ".drill.json")));
    await writeFile(path, (await readFile(path, "utf8")).replace("\n10\n", "\n11\n"));
    expect(await prove()).not.toContain(good);
    expect(await backups()).toHaveLength(3);
  });

  it("that cannot be is a failure, with what to type", async () => {
    await postgres.container.stop();
    const { code, stderr } = await agent.run(["prove-first-backup"]);
    expect(code).toBe(EXIT.databaseUnreachable);
    expect(stderr).toContain("npx budgie start");
  });
});
