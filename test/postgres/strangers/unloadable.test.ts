import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { askNobody, withLiveQuestions } from "../../../agent/server/questions.ts";
import { diagnoseLoadError } from "../../../agent/unloadable/diagnose.ts";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { readSettings } from "../../../shared/agent-environment.ts";
import type { AgentSettings } from "../../../shared/agent-settings.ts";
import { AGENT_ENVIRONMENT } from "../../support/agent/environment.ts";
import { UNLOADABLE } from "../../support/database/unloadable.ts";
import { startPostgres, type TestPostgres } from "../../support/servers/postgres.ts";
import { SLOW } from "../../support/slow-lane.ts";

const LIVE = "budgie_dev";
const RELOADED = "reloaded";

/** In which format, and what else psql is told. */
const LOADS = [["sql"], ["sql", "-b -f - -v VERBOSITY=verbose"], ["dump"]] as const;

describe("a database that PostgreSQL cannot reload", () => {
  let postgres: TestPostgres;
  let settings: AgentSettings;
  let directory: string;

  const shell = (script: string, input = "") =>
    collectFromContainer(postgres.container, ["sh", "-c", script], Buffer.from(input));
  const type = async (sql: string, database = LIVE) => {
    const typed = await shell(`exec psql -U budgie_user -Xq -v ON_ERROR_STOP=1 -d ${database}`, sql);
    expect(typed.code, `${sql}\n${typed.stderr}`).toBe(0);
    return typed.stdout;
  };
  const renew = (database: string) =>
    type(`DROP DATABASE IF EXISTS ${database} WITH (FORCE);\nCREATE DATABASE ${database};`, "postgres");
  /** What an operator could do without this project. */
  const reload = async (format: "sql" | "dump", told = "") => {
    await renew(RELOADED);
    return shell(
      format === "sql"
        ? `pg_dump -U budgie_user ${LIVE} > /tmp/dump && psql -U budgie_user -Xq -v ON_ERROR_STOP=1 ${told} -d ${RELOADED} < /tmp/dump > /dev/null`
        : `pg_dump -U budgie_user -Fc ${LIVE} > /tmp/dump && pg_restore -U budgie_user -e -d ${RELOADED} /tmp/dump`,
    );
  };
  const diagnose = (errors: string) =>
    withLiveQuestions(settings, async ask => {
      const found = await diagnoseLoadError(errors, ask);
      if (found === null) throw new Error(`nothing was recognized in ${errors}`);
      return found;
    });

  beforeAll(async () => {
    postgres = await startPostgres();
    directory = await mkdtemp(join(tmpdir(), "budgie-unloadable-"));
    process.env.PGPASSFILE = join(directory, "pgpass");
    await writeFile(process.env.PGPASSFILE, `*:*:*:*:${postgres.password}\n`, { mode: 0o600 });
    settings = readSettings({
      ...AGENT_ENVIRONMENT,
      PGHOST: postgres.host,
      PGPORT: String(postgres.port),
      PGUSER: postgres.user,
      PGDATABASE: LIVE,
      BUDGIE_BACKUP_DIR: directory,
    });
  });
  afterAll(async () => {
    await postgres?.stop();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(() => renew(LIVE));

  describe.each(UNLOADABLE)("$what", ({ sql, object, why, cures }) => {
    it("is named, in both formats, however much psql tells, and without a live database that answers as well", async () => {
      await type(sql);
      for (const [format, told] of SLOW ? LOADS : LOADS.slice(1)) {
        const { code, stderr } = await reload(format, told);
        expect(code, stderr).not.toBe(0);
        const found = await diagnose(stderr);
        expect(found).toMatchObject({ object, why: expect.stringMatching(why) });
        expect(found.repair).not.toEqual([]);
        const alone = await diagnoseLoadError(stderr, askNobody);
        expect(alone?.object).toBeTruthy();
        expect(alone?.repair).not.toEqual([]);
      }
    });

    it.each(SLOW ? cures : cures.slice(0, 1))("is cured by %s", async (_how, lines, first = "") => {
      await type(sql);
      const { stderr } = await reload("sql");
      const { repair } = await diagnose(stderr);
      const typed = repair.filter(line => lines.test(line));
      expect(typed, repair.join("\n")).not.toEqual([]);
      await type(`${first}\n${typed.join("\n")}`);
      // Both hold the same statements, and an archive is loaded by way of them.
      for (const format of SLOW ? (["sql", "dump"] as const) : (["dump"] as const)) {
        const again = await reload(format);
        expect(again.code, again.stderr).toBe(0);
      }
    });
  });
});
