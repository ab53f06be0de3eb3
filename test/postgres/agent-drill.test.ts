import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXIT } from "../../agent/exit-codes.ts";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

describe("proving a backup by restoring it", () => {
  let postgres: TestPostgres;
  let agent: TestAgent;
  const query = async (text: string, database = "budgie_dev") => {
    const client = new pg.Client({ connectionString: postgres.url(database) });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
  beforeAll(async () => {
    postgres = await startPostgres();
    await query("CREATE DATABASE budgie_dev", "postgres");
    await query(
      `CREATE TABLE entries AS SELECT n AS id, repeat(md5(n::text), 3) AS note FROM generate_series(1, 200000) n; CREATE EXTENSION citext;`,
    );
    agent = await startAgent(postgres, { database: "budgie_dev" });
  });
  afterAll(async () => {
    await agent?.stop();
    await postgres?.stop();
  });
  it("says that a good backup is good", async () => {
    expect((await agent.run(["backup"])).code).toBe(EXIT.done);
    const { code, stdout, stderr } = await agent.run(["drill"]);
    expect(code, stderr).toBe(EXIT.done);
    expect(stdout).toContain("is proven: restored, dumped again, and every byte as recorded");
  });
});
