import { afterAll, beforeAll, expect, it } from "vitest";
import { startAgent, type TestAgent } from "../support/agent.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let postgres: TestPostgres;
let agent: TestAgent;

beforeAll(async () => {
  postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
  agent = await startAgent(postgres, { database: "budgie_dev" });
});
afterAll(async () => {
  await agent?.stop();
  await postgres?.stop();
});

const healthcheck = async () => {
  const { code, stdout } = await agent.exec(["budgie-healthy"]);
  return { code, says: stdout.trim() };
};

it("the agent's healthcheck is what its status says: bad without a backup, whatever lives, and good with one", async () => {
  const noBackup = "There is no backup. Take one: npx budgie backup";
  await expect.poll(healthcheck, { timeout: 30_000 }).toEqual({ code: 1, says: noBackup });
  expect((await agent.run(["status"])).stdout).toContain(noBackup);

  expect((await agent.run(["backup"])).code).toBe(0);

  await expect.poll(healthcheck, { timeout: 30_000 }).toEqual({ code: 0, says: "fine" });
  expect((await agent.run(["status"])).code).toBe(0);
});
