import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { startAgent, type TestAgent } from "../../support/agent/agent.ts";
import { query as queryIn } from "../../support/database/query.ts";
import { backUpDrillRestore } from "../../support/database/round-trip.ts";
import { startPostgres, type TestPostgres } from "../../support/servers/postgres.ts";

const CONTROL = "comment = 'categories'\ndefault_version = '1.0'\nrelocatable = true\n";
/** The extension's own rows, as in spatial_ref_sys, and a condition that tells them from the household's. */
const SCRIPT = `
  CREATE TABLE categories (id int PRIMARY KEY, name text, own boolean NOT NULL DEFAULT true);
  INSERT INTO categories SELECT n, 'built in ' || n, false FROM generate_series(1, 20) n;
  CREATE TABLE colours (name text);
  INSERT INTO colours VALUES ('red'), ('blue');
  SELECT pg_extension_config_dump('categories', 'WHERE own');`;

describe("tables that belong to an extension", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  const query = (text: string) => queryIn(postgres, "budgie_dev", text);

  /** Where the server, and the one that drills start, look for extensions. */
  const install = async (container: TestPostgres["container"]) => {
    const write = `d=$(pg_config --sharedir 2>/dev/null || dirname $(dirname $(find / -name plpgsql.control -not -path '/proc/*' | head -n 1)))/extension
      mkdir -p $d; cat > $d/household.control <<'END'
${CONTROL}END
cat > $d/household--1.0.sql <<'END'
${SCRIPT}
END
ls $d/plpgsql.control`;
    const { code, stderr } = await collectFromContainer(container, ["sh", "-c", write]);
    expect(code, stderr).toBe(0);
  };

  beforeAll(async () => {
    postgres = await startPostgres();
    await queryIn(postgres, "postgres", "CREATE DATABASE budgie_dev");
    agent = await startAgent(postgres, { database: "budgie_dev" });
    await Promise.all([install(postgres.container), install(agent.container)]);
    await query(`
      CREATE EXTENSION household;
      INSERT INTO categories SELECT 100 + n, 'ours ' || n FROM generate_series(1, 30) n;
      DELETE FROM categories WHERE id = 5;
      UPDATE categories SET name = 'changed' WHERE id = 110;
      INSERT INTO colours VALUES ('green');`);
  });

  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });

  it.each(["sql", "dump", "dir.tar"])(
    "keep the extension's rows, and get back the household's from a %s backup",
    async format => {
      const own = "SELECT * FROM categories WHERE own ORDER BY id";
      const before = await query(own);
      await backUpDrillRestore(agent, format);
      expect(await query(own)).toEqual(before);
      expect(
        await query("SELECT count(*)::int AS built_in FROM categories WHERE NOT own"),
        "as CREATE EXTENSION makes them: a dump does not hold them",
      ).toEqual([{ built_in: 20 }]);
    },
  );
});
